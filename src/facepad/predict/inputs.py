"""The kinds of image that a predictor takes, and their conversion to RGB arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facepad.errors import ImageError, InputError, VideoError, reason, shown
from facepad.faces import crop
from facepad.media.images import MAX_PIXELS, from_pillow, read_image
from facepad.runtime.arguments import require_choice
from facepad.types import Box

__all__ = [
    "BinaryFile",
    "Channels",
    "ImageInput",
    "VideoInput",
    "check_channels",
    "check_several",
    "in_rgb",
    "looks_like_bgr",
    "read_input",
    "video_source",
]

_INNER, _SAMPLE = 0.6, 16
"""The part of the face square that is mostly skin, in sides of the square, and the side of its sample in pixels."""
_MUCH_BLUER = 0.9
"""Maximum mean of the first channel of a face in BGR order, as a multiple of the mean of the last channel."""


class BinaryFile(Protocol):
    """An open binary file, such as `io.BytesIO`. It is read from its position to its end, and stays open."""

    def read(self) -> bytes:
        """The rest of the file."""
        ...


ImageInput = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryFile | Image.Image | NDArray[np.uint8]
"""An image: the path or the bytes of a file, an open binary file, a Pillow image, or a uint8 array.

The array is RGB ``(H, W, 3)``, RGBA ``(H, W, 4)``, or grey ``(H, W)`` or ``(H, W, 1)``.
"""

VideoInput = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryFile
"""A video: the path or the bytes of a file, or an open binary file."""

Channels = Literal["rgb", "bgr"]
"""The order of the channels of an array. OpenCV's arrays have the order ``bgr``."""


def read_input(image: ImageInput) -> NDArray[np.uint8]:
    """Convert an image to uint8 RGB ``(H, W, 3)``. Transparent pixels are composited on white.

    >>> read_input(np.zeros((4, 4), np.uint8)).shape
    (4, 4, 3)
    >>> read_input(np.zeros((4, 4, 3)))
    Traceback (most recent call last):
    facepad.errors.ImageError: expected a uint8 RGB array (height, width, 3) in 0..255, got float64 (4, 4, 3)

    Raises:
        ImageError: The image cannot be read, or the object is not an image.
    """
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, str | os.PathLike):
        return read_image(Path(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return read_image(bytes(image))
    if isinstance(image, Image.Image):
        return from_pillow(image)
    if hasattr(image, "read"):
        return read_image(_rest_of(image, ImageError))
    raise ImageError(
        None, f"expected an image's path, bytes, binary file, Pillow image or uint8 array, got {type(image).__name__}"
    )


def video_source(video: VideoInput) -> Path | bytes:
    """The path of a video file, or its bytes.

    Raises:
        VideoError: The binary file cannot be read.
        InputError: The object is not a video.
    """
    if isinstance(video, str | os.PathLike):
        return Path(video)
    if isinstance(video, bytes | bytearray | memoryview):
        return bytes(video)
    if hasattr(video, "read"):
        return _rest_of(video, VideoError)
    raise InputError(f"video: expected a video's path, bytes or binary file, got {shown(video)}")


def check_channels(channels: object) -> None:
    """Refuse an unknown order of channels before any work is done.

    Raises:
        InputError: The order of the channels is unknown.
    """
    require_choice("order of channels", channels, get_args(Channels))


def in_rgb(image: ImageInput, channels: Channels) -> ImageInput:
    """The image, with the channels of an array in the order RGB or RGBA. Other images have a known order.

    Raises:
        InputError: The order of the channels is unknown.
    """
    check_channels(channels)
    if channels == "rgb" or not isinstance(image, np.ndarray) or image.ndim != 3:
        return image
    if image.shape[2] == 4:
        return image[..., [2, 1, 0, 3]]
    return image[..., ::-1]


def check_several(images: object) -> None:
    """Refuse a single image in place of several images.

    Raises:
        InputError: The object is not iterable, or is an image itself.

    >>> check_several("a.jpg")
    Traceback (most recent call last):
    facepad.errors.InputError: images: expected several images, as in [image], got 'a.jpg'
    """
    single = isinstance(images, str | bytes | bytearray | memoryview) or hasattr(images, "read")
    if isinstance(images, np.ndarray):
        single = images.ndim < 3 or (images.ndim == 3 and images.shape[2] in (1, 3, 4))
    if single or not isinstance(images, Iterable):
        raise InputError(f"images: expected several images, as in [image], got {shown(images)}")


def looks_like_bgr(image: NDArray[np.uint8], box: Box) -> bool:
    """Whether the face in an RGB array ``(H, W, 3)`` is clearly bluer than red, as skin is in BGR order.

    Skin of every tone reflects more red than blue. A face in blue light, or on a bluish screen, is mistaken.
    """
    red, _, blue = crop(image, box, scale=_INNER, size=(_SAMPLE, _SAMPLE)).reshape(-1, 3).mean(axis=0)
    return bool(red < _MUCH_BLUER * blue)


def _rest_of(file: BinaryFile, kind: type[ImageError | VideoError]) -> bytes:
    try:
        content = file.read()
    except (OSError, ValueError) as error:  # ValueError: a closed file, or text in another encoding
        raise kind(None, f"the file cannot be read ({reason(error)})") from error
    if not isinstance(content, bytes):
        raise kind(None, f"expected a file that is open in binary mode, got {type(content).__name__} from read()")
    if not content:
        raise kind(None, "nothing is left to read in the file: rewind it with seek(0)")
    return content


def _from_array(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or channels not in (1, 3, 4) or 0 in image.shape:
        shape = ", ".join(map(str, image.shape))
        raise ImageError(None, f"expected a uint8 RGB array (height, width, 3) in 0..255, got {image.dtype} ({shape})")
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise ImageError("array", f"{image.shape[1]}x{image.shape[0]} pixels, the limit is {MAX_PIXELS} pixels")
    if channels == 4:
        return from_pillow(Image.fromarray(np.ascontiguousarray(image)))
    if channels == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(image)
