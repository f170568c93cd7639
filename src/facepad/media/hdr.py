"""Tone mapping of HDR images (PQ and HLG) to SDR."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["TRANSFERS", "to_sdr"]

TRANSFERS = {16: "PQ", 18: "HLG"}
"""The HDR transfer functions: code of ITU-T H.273 -> name."""

_WHITE = 203.0  # cd/m2 of a white sheet of paper in HDR, which is the white of SDR (ITU-R BT.2408)
_PEAK = 1000.0  # cd/m2 of the nominal display of HLG (ITU-R BT.2100)
_SYSTEM_GAMMA = 1.2  # of the nominal display of HLG
_DISPLAY_GAMMA = 2.4  # of an SDR display (ITU-R BT.1886)
_ROWS = 64  # converted at once, because the light of an image needs many times the memory of its pixels
_STEPS = 4096  # 12 bits, the most that cameras record
_LUMINANCE = np.array([[0.2627, 0.6780, 0.0593]], np.float32)  # of BT.2020
_TO_BT709 = np.array(  # linear RGB with the primaries of BT.2020 to the primaries of BT.709 (ITU-R BT.2087)
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


def to_sdr(image: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """Convert HDR pixels to the pixels of an SDR picture of the same scene.

    Light is not compressed: the white of HDR becomes the white of SDR (ITU-R BT.2408), and brighter light is clipped,
    as in a camera for SDR. An SDR picture that was stored as HDR therefore gets its own pixels back.

    Args:
        image: RGB with the primaries of BT.2020 in the full range of uint16, shape (height, width, 3).
        transfer: A key of `TRANSFERS`.

    Returns:
        uint8 RGB with the primaries of BT.709 for a display of gamma 2.4, shape (height, width, 3).

    A grey card has 38 % in PQ and in HLG, and 42.5 % in SDR, which is 108 (ITU-R BT.2408):

    >>> grey = np.full((1, 1, 3), 0.38 * 65535).astype(np.uint16)
    >>> [to_sdr(grey, transfer).ravel().tolist() for transfer in TRANSFERS]
    [[108, 108, 108], [109, 109, 109]]
    """
    shown = np.empty(image.shape, np.uint8)
    for start in range(0, len(image), _ROWS):
        rows = slice(start, start + _ROWS)
        shown[rows] = _rows_to_sdr(image[rows], transfer)
    return shown


def _rows_to_sdr(image: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    import cv2  # Imported here because few images are HDR.

    light = _light_of(transfer)[image >> 4]
    if TRANSFERS[transfer] == "HLG":
        light *= cv2.pow(cv2.transform(light, _LUMINANCE), _SYSTEM_GAMMA - 1).reshape(*image.shape[:2], 1)
    shown = np.clip(cv2.transform(light, _TO_BT709), 0, 1)
    return np.asarray(cv2.convertScaleAbs(cv2.pow(shown, 1 / _DISPLAY_GAMMA), alpha=255), np.uint8)


@cache
def _light_of(transfer: int) -> NDArray[np.float32]:
    """The light of each code value; 1 is the white of SDR. The light of HLG lacks the system gamma."""
    signal = np.linspace(0, 1, _STEPS)
    if TRANSFERS[transfer] == "PQ":
        root = signal ** (32 / 2523)
        light = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (16384 / 2610)
        return np.asarray(light / _WHITE, np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    # With this factor, (factor x scene) to the power of the system gamma is the light in units of the white.
    return np.asarray(scene * (_PEAK / _WHITE) ** (1 / _SYSTEM_GAMMA), np.float32)
