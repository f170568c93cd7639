"""Reading of images, videos and cameras, and writing of images and videos."""
