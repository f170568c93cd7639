"""The facts about an image that have nothing to do with the face: camera, file, time, place and distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.datasets.lookalike import Bits, perceptual_hash
from facepad.datasets.manifest import resolve
from facepad.errors import ImageError
from facepad.faces import map_box, scale_box
from facepad.media.images import image_size, read_header, read_image
from facepad.media.videos import VIDEO_SUFFIXES
from facepad.runtime.parallel import available_cpus, map_ahead
from facepad.runtime.progress import progress_bar
from facepad.types import Box, Sample

__all__ = ["ImageFacts", "background", "jpeg_quality", "measure_facts"]

_SIDE = 128
"""Side in pixels that an image needs for the measurement of its background."""
_AROUND_FACE = 2.0
"""Side of a square that covers face, hair and neck, in sides of the face square. The background lies outside."""
_MIN_BACKGROUND = 0.05
"""Minimum fraction of the image that the background covers."""
_SUM_AT_50 = 3688
"""Sum of the standard luminance table of JPEG, which quality 50 uses (ITU-T T.81, table K.1)."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The facts about one image.

    Attributes:
        hash: The perceptual hash.
        size: (height, width) in pixels.
        format: The file format, such as "JPEG"; "clip (.mp4)" for frames that facepad took from a clip.
        camera: Make and model; empty if the file does not name them.
        quality: JPEG quality, about 1 to 100; None for other formats and for clips.
        taken: Time of the exposure (EXIF); None if unknown.
        face: Width of the face square as a fraction of the image's width; None without a face.
        background: Four numbers of the background: the means of lightness, green to red, and blue to yellow (CIELAB, 0
            to 255), and the standard deviation of the lightness. None if there is hardly any background.
    """

    hash: Bits
    size: tuple[int, int]
    format: str
    camera: str
    quality: float | None
    taken: datetime | None
    face: float | None
    background: tuple[float, float, float, float] | None


def measure_facts(
    manifest: Path, samples: Sequence[Sample], jobs: int | None = None, progress: bool = False
) -> tuple[dict[str, ImageFacts], dict[str, str]]:
    """Measure the facts about every image of a manifest, in threads.

    Returns:
        Path -> facts, and path -> reason for images that cannot be read.
    """
    jobs = jobs or available_cpus()
    facts: dict[str, ImageFacts] = {}
    unreadable: dict[str, str] = {}
    results = map_ahead(lambda s: _measure(resolve(manifest, s), s), samples, ahead=2 * jobs, threads=jobs)
    with progress_bar("looking at images", len(samples), shown=progress) as advance:
        for sample, result in zip(samples, results, strict=True):
            if isinstance(result, str):
                unreadable[sample.path] = result
            else:
                facts[sample.path] = result
            advance()
    return facts, unreadable


def _measure(path: Path, sample: Sample) -> ImageFacts | str:
    """The facts about one image, or the reason why it cannot be read."""
    try:
        size, header = image_size(path), read_header(path)
        image = read_image(path, min_size=(_SIDE, _SIDE))
    except ImageError as error:
        return str(error)
    box = None if sample.box is None else map_box(sample.box, size, image.shape[:2])
    # facepad writes the frames of all clips in one way: their format and camera are those of the clip.
    clip = PurePosixPath(sample.video or "").suffix.lower()
    of_clip = clip in VIDEO_SUFFIXES
    return ImageFacts(
        hash=perceptual_hash(image),
        size=size,
        format=f"clip ({clip})" if of_clip else header.format,
        camera="" if of_clip else header.camera,
        quality=None if of_clip else jpeg_quality(header.tables),
        taken=header.taken,
        face=None if sample.box is None else sample.box.width / size[1],
        background=None if box is None else background(image, box),
    )


def jpeg_quality(tables: Mapping[int, Sequence[int]]) -> float | None:
    """The quality (1 to 100) at which libjpeg writes tables like these; None without tables.

    >>> jpeg_quality({}) is None, jpeg_quality({0: [1] * 64})
    (True, 99.0)
    """
    if 0 not in tables:
        return None
    scale = 100 * sum(tables[0]) / _SUM_AT_50
    return float(round((200 - scale) / 2 if scale <= 100 else 5000 / scale))


def background(image: NDArray[np.uint8], box: Box) -> tuple[float, float, float, float] | None:
    """Colour and contrast outside the face.

    Args:
        image: uint8 RGB, shape (height, width, 3).
        box: The canonical face square in the pixels of ``image``.

    Returns:
        The means of lightness, green to red, and blue to yellow (CIELAB, each 0 to 255), and the standard deviation of
        the lightness. None if the surroundings of the face fill the image.
    """
    around = scale_box(box, _AROUND_FACE)
    outside = np.ones(image.shape[:2], bool)
    left, top, right, bottom = (max(0, round(value)) for value in around.xyxy)
    outside[top:bottom, left:right] = False
    if outside.mean() < _MIN_BACKGROUND:
        return None
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[outside].astype(np.float64)
    lightness, red, yellow = pixels.mean(axis=0)
    return float(lightness), float(red), float(yellow), float(pixels[:, 0].std())
