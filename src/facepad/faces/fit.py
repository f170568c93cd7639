"""Whether a face box of a manifest can belong to its image: boxes of images of another size do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepad.errors import ImageError
from facepad.faces.geometry import outside
from facepad.media.images import image_size, read_image
from facepad.types import Box, Sample

__all__ = ["MAX_OUTSIDE", "box_misfit", "read_with_box", "require_fit", "why_unusable"]

MAX_OUTSIDE = 0.5
"""Maximum share of a box's area outside its image. A box far larger than its image has a higher share, too."""
_MIN_SIDE = 1
"""Minimum side of a box in pixels."""


def box_misfit(box: Box, size: tuple[int, int]) -> str:
    """The reason why a box cannot be the face in an image of ``size`` (height, width); empty if the box fits.

    >>> box_misfit(Box(100, 100, 1000, 1000), (240, 320))
    'the box 100, 100, 1000, 1000 lies 96 % outside the image of 320x240 pixels'
    >>> box_misfit(Box(-10, 100, 100, 210), (240, 320))
    ''
    """
    corners = ", ".join(f"{value:g}" for value in box.xyxy)
    if min(box.width, box.height) < _MIN_SIDE:
        return f"the box {corners} is smaller than a pixel"
    if (share := outside(box, size)) > MAX_OUTSIDE:
        return f"the box {corners} lies {100 * share:.0f} % outside the image of {size[1]}x{size[0]} pixels"
    return ""


def require_fit(path: Path, sample: Sample, size: tuple[int, int]) -> None:
    """Refuse a sample whose box does not fit its image of ``size`` (height, width).

    Raises:
        ImageError: the box does not fit. The message names the image, and the line of the manifest if it is known.
    """
    if sample.box is not None and (why := box_misfit(sample.box, size)):
        line = "" if sample.line is None else f" (line {sample.line} of the manifest)"
        raise ImageError(path, why + line)


def read_with_box(path: Path, sample: Sample) -> NDArray[np.uint8]:
    """Read the image of a sample, uint8 RGB ``(H, W, 3)``, and hold the sample's box against it.

    Raises:
        ImageError: the image cannot be read, or the box does not fit it.
    """
    image = read_image(path)
    require_fit(path, sample, (image.shape[0], image.shape[1]))
    return image


def why_unusable(path: Path, sample: Sample) -> str:
    """The reason why the header of a sample's image cannot be read, or its box does not fit; empty if all is well."""
    try:
        require_fit(path, sample, image_size(path))
    except ImageError as error:
        return str(error)
    return ""
