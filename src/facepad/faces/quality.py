"""The quality of a face image (size, light, sharpness, border, angles), and the limits for a decision."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.errors import InputError, shown, unknown_choice
from facepad.faces import crop
from facepad.faces.angles import FaceAngles
from facepad.faces.geometry import outside
from facepad.runtime.arguments import is_number, require_instance
from facepad.types import Box, FaceQuality, Reason

__all__ = ["USUAL_QUALITY", "Quality", "luminance", "measure_quality", "sharpness"]

_SIDE = 64
"""Side in pixels to which the face square is resized before light and sharpness are measured. The measures then do not
depend on the camera's resolution."""
_FLAT = 1e-6
"""Maximum variance of the grey levels of a uniform image, for which sharpness is 0."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Limits of quality. A face outside the limits is undecided. None turns a limit off.

    The default limits are lenient. They reject images without a recognisable face, and do not select good images.
    `benchmarks/face_limits.py` measures the effect of roll, yaw and the border on the scores.

    Attributes:
        min_face: Minimum side of the face square in pixels.
        min_luminance, max_luminance: Limits of the face square's mean luminance, in grey levels (0 to 255).
        min_sharpness: Minimum `sharpness` of the face square. A sharp face has 0.2 to 1. After a Gaussian blur with a
            standard deviation of one twentieth of the side, a face has about 0.02.
        max_outside: Maximum share of the face square's area outside the image, 0 to 1.
        max_roll: Maximum tilt of the head to either side, in degrees. It needs a detector with landmarks.
        max_yaw: Maximum turn of the head to either side, in degrees. It needs a detector with landmarks.

    Raises:
        InputError: A limit is not a number, or is negative, infinite or NaN.
    """

    min_face: float | None = 32
    min_luminance: float | None = 25
    max_luminance: float | None = 235
    min_sharpness: float | None = 0.02
    max_outside: float | None = 0.2
    max_roll: float | None = 30
    max_yaw: float | None = 60

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if value is not None and not (is_number(value) and value >= 0):
                words = "expected a number of at least 0, or None"
                raise InputError(f"quality limit {limit.name}: {words}, got {shown(value)}")

    @classmethod
    def parse(cls, text: str) -> Quality:
        """The default limits with changes, as in ``min_face=64,max_roll=none``. Without text, the default limits.

        >>> Quality.parse("min_face=64, max_roll=none").min_face, Quality.parse("max_roll=none").max_roll
        (64.0, None)

        Raises:
            InputError: Not a text, an unknown limit, a limit that is named twice, or a value that is not a number of at
                least 0.
        """
        require_instance("quality limits", text, str, "a text such as min_face=64")
        choices, changes = [limit.name for limit in fields(cls)], {}
        for part in filter(None, text.split(",")):
            name, _, value = (word.strip() for word in part.partition("="))
            if name not in choices:
                raise InputError(unknown_choice("quality limit", name, choices))
            if name in changes:
                raise InputError(f"quality limit {name}: named twice")
            changes[name] = _limit(name, value)
        return cls(**changes)

    def reasons(self, face: FaceQuality) -> tuple[Reason, ...]:
        """The reasons why a face with these measured values is undecided; empty for a face inside the limits."""
        roll, yaw = (None if angle is None else abs(angle) for angle in (face.roll, face.yaw))
        checks = (
            (Reason.FACE_TOO_SMALL, _below(face.side, self.min_face)),
            (Reason.TOO_DARK, _below(face.luminance, self.min_luminance)),
            (Reason.TOO_BRIGHT, _below(self.max_luminance, face.luminance)),
            (Reason.TOO_BLURRED, _below(face.sharpness, self.min_sharpness)),
            (Reason.FACE_AT_BORDER, _below(self.max_outside, face.outside)),
            (Reason.TILTED, _below(self.max_roll, roll)),
            (Reason.TURNED, _below(self.max_yaw, yaw)),
        )
        return tuple(reason for reason, applies in checks if applies)


USUAL_QUALITY = Quality()
"""The default limits."""


def measure_quality(image: NDArray[np.uint8], box: Box | None, angles: FaceAngles | None = None) -> FaceQuality:
    """Measure the quality of a face.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
        box: The canonical face square; None measures light and sharpness of the whole frame.
        angles: The angles of the face; None if the detector gives none.
    """
    face = crop(image, box, scale=1.0, size=(_SIDE, _SIDE))
    light, sharp = luminance(face), sharpness(face)
    if box is None:
        return FaceQuality(light, sharp)
    seen = FaceQuality(light, sharp, min(box.width, box.height), outside(box, (image.shape[0], image.shape[1])))
    return seen if angles is None else replace(seen, roll=angles.roll, yaw=angles.yaw)


def luminance(image: NDArray[np.uint8]) -> float:
    """Mean luminance (ITU-R BT.601) of an RGB image ``(H, W, 3)`` in grey levels, 0 to 255.

    >>> luminance(np.full((4, 4, 3), 100, np.uint8))
    100.0
    """
    return float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean())


def sharpness(image: NDArray[np.uint8]) -> float:
    """Sharpness: the variance of the luminance's Laplacian, divided by the variance of the luminance.

    The sharpness is at least 0; higher is sharper. It does not depend on exposure and contrast, but on the image size:
    compare only images of the same size.

    >>> checks = np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.ones((8, 8))).astype(np.uint8)[..., None] * 200
    >>> sharp = np.repeat(checks, 3, axis=2)
    >>> sharpness(sharp) > 10 * sharpness(np.asarray(cv2.GaussianBlur(sharp, (0, 0), 3), np.uint8))
    True
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    variance = float(grey.var())
    return float(cv2.Laplacian(grey, cv2.CV_64F).var()) / variance if variance > _FLAT else 0.0


def _limit(name: str, text: str) -> float | None:
    if text.lower() == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(f"quality limit {name}: expected a number or none, got {text!r}") from None


def _below(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value < limit
