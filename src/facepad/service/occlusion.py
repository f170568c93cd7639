"""The picture of an occlusion map for an answer."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2

from facepad.predict.pipeline import Pipeline
from facepad.service.examiner import decode_image
from facepad.types import Box

__all__ = ["WORK", "occlusion_picture"]

WORK = 60e6
"""The cost of a map, as a number of pixels to decode."""

_SIDE = 320  # pixels of the longer side of the picture


def occlusion_picture(pipeline: Pipeline, content: bytes, max_pixels: int, box: Box | None) -> str:
    """Score an image and its occluded copies, and draw the map on the part of the image that the networks see.

    Args:
        pipeline: The model.
        content: The bytes of the image, which was examined before.
        max_pixels: The limit for an image.
        box: The box of the decision on the face; None for models that take the whole frame.

    Returns:
        The data URI of a JPEG.
    """
    image = decode_image(content, max_pixels)
    found = pipeline.why(image, box)
    x1, y1, x2, y2 = map(int, found.region.xyxy)
    drawn = replace(found, region=Box(0, 0, x2 - x1, y2 - y1)).drawn_on(image[y1:y2, x1:x2])
    height, width = drawn.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"
