"""Read images, videos and cameras; write images and videos."""
