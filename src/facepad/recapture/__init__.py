"""A physical model of re-capture: the changes of a face image that is printed or displayed and shown to a camera.

The functions simulate the traces of prints and screens:

- a smaller gamut and a changed tone curve
- halftone dots or sub-pixels, which give moire patterns with the camera's pixels
- a sheet that is tilted, bent and lit by the room
- glare
- the edge of the sheet or screen with the room behind it

The functions do not simulate noise, lens blur and compression of the camera. The caller adds these to bona fide images
and attacks in the same way.

All lengths of patterns are in output pixels. The same parameters therefore fit whole frames and face crops. The result
of each function depends only on the arguments, including the state of a numpy generator.
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
"""Version of the model. Each change of the pixels must raise the version, to invalidate stored training features."""
