"""Reading pixels: images, videos and cameras; and writing images and videos."""
