"""Procedural faces for benchmarks, images of these faces, and both detectors without their first step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.datasets.synthetic import SyntheticSet, generate
from facepad.faces import crop
from facepad.faces.dlib_detector import DlibDetector
from facepad.faces.yunet import SECOND_SIDE, YuNetDetector
from facepad.media.images import read_image, write_image
from facepad.types import Face

VGA = (480, 640)
GRIDS = {1: (1, 1), 2: (1, 2), 4: (2, 2)}
"""Number of faces in an image -> (rows, columns) of the faces."""


class WholeImage(DlibDetector):
    """dlib's detector without the first step, the search for large faces. It always searches the whole image."""

    name = "dlib, whole"

    def search_large(self, grey: NDArray[np.uint8]) -> list[Face]:
        return []


class WholeYuNet(YuNetDetector):
    """YuNet without the first look, at a smaller image."""

    name = "yunet, whole"

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        return self.look(image, SECOND_SIDE)


def portraits(folder: Path) -> list[NDArray[np.uint8]]:
    """The faces of four procedural people, with the surroundings that are part of the networks' crops."""
    samples = generate(folder, SyntheticSet(subjects=4, images_per_subject=4), jobs=1)
    firsts = {sample.subject: sample for sample in reversed(samples) if sample.attack_type is None}
    return [crop(read_image(folder / one.path), one.box, scale=2.4, size=(480, 480)) for one in firsts.values()]


def picture(path: Path, people: Sequence[NDArray[np.uint8]], size: tuple[int, int] = VGA, faces: int = 1) -> bytes:
    """A JPEG of ``size`` (height, width) with one, two or four faces of equal size on a grey background."""
    rows, columns = GRIDS[faces]
    height, width = size[0] // rows, size[1] // columns
    side = min(height, width)
    image = np.full((*size, 3), 127, dtype=np.uint8)
    for number, face in enumerate(people[:faces]):
        top = number // columns * height + (height - side) // 2
        left = number % columns * width + (width - side) // 2
        image[top : top + side, left : left + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_LINEAR)
    write_image(path, image)
    return path.read_bytes()
