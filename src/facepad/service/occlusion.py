"""The picture of an occlusion map for an answer: the occluded copies are scored in the batches of all requests."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.modelfile.scorers import OcclusionMap
from facepad.predict.pipeline import Examined, Pipeline
from facepad.service.examiner import decode_image
from facepad.types import Box

__all__ = ["WORK", "Occluded", "occlude", "picture_of"]

WORK = 20e6
"""The cost of making the crops of all occluded copies, as a number of pixels to decode."""

_SIDE = 320  # pixels of the longer side of the picture
_SMALLEST = 1e-9  # probability whose logit is still finite in double precision


@dataclass(frozen=True, slots=True)
class Occluded:
    """An image before its map.

    Attributes:
        shown: The part of the image that the networks see, uint8 RGB ``(h, w, 3)``.
        examined: The image and its occluded copies, to be scored.
    """

    shown: NDArray[np.uint8]
    examined: list[Examined]


def occlude(pipeline: Pipeline, content: bytes, max_pixels: int, box: Box | None) -> Occluded:
    """Decode an image, and crop its occluded copies.

    Args:
        pipeline: The model.
        content: The bytes of the image, which was examined before.
        max_pixels: The limit for an image.
        box: The box of the decision on the face; None for models that take the whole frame.
    """
    image = decode_image(content, max_pixels)
    region, examined = pipeline.occluded(image, box)
    x1, y1, x2, y2 = map(int, region.xyxy)
    return Occluded(image[y1:y2, x1:x2].copy(), examined)


def picture_of(hidden: Occluded, scores: Sequence[float | None]) -> str:
    """The picture of the map as the data URI of a JPEG.

    Args:
        hidden: The image.
        scores: P(bona fide) of the image and of its copies, in the order of ``hidden.examined``.
    """
    values = np.clip(np.array(scores, dtype=np.float64), _SMALLEST, 1 - _SMALLEST)
    logits = np.log(values) - np.log1p(-values)
    height, width = hidden.shown.shape[:2]
    found = OcclusionMap.of_logits(Box(0, 0, width, height), float(logits[0]), logits[1:])
    drawn = found.drawn_on(hidden.shown)
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"
