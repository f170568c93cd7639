"""Decisions on images, videos and cameras."""
