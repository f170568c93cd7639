"""Pixels from outside: images, videos and cameras."""
