"""A physical model of print and screen re-capture: what a face image looks like after it was presented to a camera.

A presentation attack photographs a photograph. Printing and displaying leave marks: a smaller gamut, a changed tone
curve, halftone dots or sub-pixels that beat against the camera's own pixels (moire), a sheet that is tilted, bent and
lit by the room, glare, and an edge with the room behind it. The functions here apply those marks, and only those:
noise, lens blur and compression of the final camera belong to whoever records the result, bona fide and attack alike.

All lengths of patterns are in output pixels, so the same parameters serve whole frames and face crops. Everything is
a pure function of its arguments and of the numpy generator that it is given.
"""

from facepad.recapture.media import (
    PRINT_FAMILIES,
    SCREEN_FAMILIES,
    Medium,
    Placement,
    PrintParams,
    ScreenParams,
    sample_print,
    sample_screen,
)
from facepad.recapture.model import print_recapture, screen_recapture

__all__ = [
    "PRINT_FAMILIES",
    "RECAPTURE_VERSION",
    "SCREEN_FAMILIES",
    "Medium",
    "Placement",
    "PrintParams",
    "ScreenParams",
    "print_recapture",
    "sample_print",
    "sample_screen",
    "screen_recapture",
]

RECAPTURE_VERSION = 1
"""Raise it whenever equal parameters and seeds give other pixels: features that training has kept go stale."""
