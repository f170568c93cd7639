"""A physical model of print and screen re-capture: how a face image changes when it is presented to a camera.

A presentation attack photographs a photograph. Printing and displaying leave marks: a smaller gamut, a changed tone
curve, halftone dots or sub-pixels that beat against the camera's own pixels (moire), a sheet that is tilted, bent and
lit by the room, glare, and an edge with the room behind it. The functions here apply those marks alone.
Noise, lens blur and compression of the final camera are left to the caller, who adds them to bona fide images and
attacks alike.

All lengths of patterns are in output pixels, so the same parameters fit whole frames and face crops. All functions are
pure: the result depends on the arguments, one of which is a numpy generator.
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
