"""Conversion of images to ``data:`` URIs, which the page contains instead of image files."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["jpeg_uri", "png_uri"]


def jpeg_uri(pixels: NDArray[np.uint8], side: int) -> str:
    """Convert a photo to the ``data:`` URI of a small JPEG.

    Args:
        pixels: RGB, shape (H, W, 3).
        side: Maximum length of the longer side, in pixels. A smaller image keeps its size.
    """
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=80, optimize=True)
    return _uri("jpeg", buffer)


def png_uri(pixels: NDArray[np.uint8]) -> str:
    """Convert an image to the ``data:`` URI of a PNG of the same size.

    Args:
        pixels: RGB, shape (H, W, 3).
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return _uri("png", buffer)


def _uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
