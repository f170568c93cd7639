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
_ROWS = 8  # converted at once: few, so that their light stays in the caches of the CPU
_DROPPED = (
    15  # bits of a float32 that are ignored in a table: with 8 bits of the fraction, the error is below 0.2 grey levels
)
_LUMINANCE = np.array([[0.2627, 0.6780, 0.0593]], np.float32)  # of BT.2020
_TO_BT709 = np.array(  # linear RGB with the primaries of BT.2020 to the primaries of BT.709 (ITU-R BT.2087)
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


def to_sdr(image: NDArray[np.uint8 | np.uint16], transfer: int) -> NDArray[np.uint8]:
    """Convert HDR pixels to the pixels of an SDR picture of the same scene.

    Light is not compressed: the white of HDR becomes the white of SDR (ITU-R BT.2408), and brighter light is clipped,
    as in a camera for SDR. An SDR picture that was stored as HDR therefore gets its own pixels back.

    Args:
        image: RGB with the primaries of BT.2020 in the full range of uint8 or uint16, shape (height, width, 3). Of 16
            bits, the first 12 are used, the most that cameras record.
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


def _rows_to_sdr(image: NDArray[np.uint8 | np.uint16], transfer: int) -> NDArray[np.uint8]:
    import cv2  # Imported here because few images are HDR.

    if image.dtype == np.uint8:
        light = np.asarray(cv2.LUT(image, _light_of(transfer, 256)), np.float32)
    else:
        light = _light_of(transfer, 4096).take(image >> 4)
    if TRANSFERS[transfer] == "HLG":
        gain = _powers(_SYSTEM_GAMMA - 1).take(_leading_bits(_mixed(light, _LUMINANCE)))
        light *= cv2.merge([gain, gain, gain])  # Without a broadcast over three channels, which is slow.
    return _shown().take(_leading_bits(_mixed(light, _TO_BT709)))


def _mixed(light: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sums of the channels, weighted by each row of the weights."""
    import cv2  # Imported here because few images are HDR.

    return np.asarray(cv2.transform(light, weights), np.float32)


def _leading_bits(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """The sign, the exponent and the first bits of the fraction: the index of a value in a table.

    A lookup takes a fifth of the time of a power.
    """
    return values.view(np.uint32) >> np.uint32(_DROPPED)


@cache
def _powers(exponent: float) -> NDArray[np.float32]:
    """The power of each value that `_leading_bits` indexes; 0 for negative values."""
    bits = (np.arange(2 ** (32 - _DROPPED), dtype=np.uint32) << _DROPPED) + 2 ** (_DROPPED - 1)
    values = np.nan_to_num(bits.view(np.float32), posinf=0, neginf=0)
    return np.asarray(np.maximum(values, 0) ** exponent, np.float32)


@cache
def _shown() -> NDArray[np.uint8]:
    """The grey level of each light that `_leading_bits` indexes."""
    return np.asarray(np.rint(255 * np.minimum(_powers(1 / _DISPLAY_GAMMA), 1)), np.uint8)


@cache
def _light_of(transfer: int, steps: int) -> NDArray[np.float32]:
    """The light of each code value; 1 is the white of SDR. The light of HLG lacks the system gamma."""
    signal = np.linspace(0, 1, steps)
    if TRANSFERS[transfer] == "PQ":
        root = signal ** (32 / 2523)
        light = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (16384 / 2610)
        return np.asarray(light / _WHITE, np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    # With this factor, (factor x scene) to the power of the system gamma is the light in units of the white.
    return np.asarray(scene * (_PEAK / _WHITE) ** (1 / _SYSTEM_GAMMA), np.float32)
