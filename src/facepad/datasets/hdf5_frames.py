"""Colour frames in HDF5 files, in the forms in which 3DMAD and WMCA are released. Reading needs h5py."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facepad.errors import VideoError, first_line
from facepad.files.opening import require_regular
from facepad.media.images import MAX_PIXELS

__all__ = ["can_read_hdf5", "is_hdf5", "read_hdf5"]

_WHOLE = "Color_Data"  # 3DMAD: one array of all frames
_FRAME, _ARRAY = re.compile(r"Frame_(\d+)"), "array"  # WMCA: a group for each frame


def is_hdf5(name: str) -> bool:
    """Whether the ending of a file is that of an HDF5 file.

    >>> is_hdf5("01_01_01.HDF5"), is_hdf5("01_01_01.avi")
    (True, False)
    """
    return name.lower().endswith((".hdf5", ".h5"))


def can_read_hdf5() -> bool:
    """Whether h5py is installed."""
    return find_spec("h5py") is not None


def read_hdf5(path: Path, count: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Read frames at even distances from an HDF5 file. The times of the frames are not in the file.

    Args:
        path: A file with the array ``Color_Data``, shape (frames, 3, height, width), or with a group ``Frame_0``,
            ``Frame_1`` and so on for each frame, whose ``array`` has the shape (3, height, width). The channels are
            red, green and blue, in 0..255.
        count: Number of frames, at least 1. A file with fewer frames gives all its frames.

    Yields:
        Index and image of each frame; the image is uint8 RGB, shape (height, width, 3).

    Raises:
        VideoError: the file cannot be read, has no colour frames, or a frame is not an image.
    """
    import h5py

    try:
        require_regular(path)
        with h5py.File(path, "r") as file:
            total, frame_at = _frames(file)
            number = min(count, total)
            for index in ((2 * place + 1) * total // (2 * number) for place in range(number)):
                yield index, _image(frame_at(index))
    except VideoError:
        raise
    except ValueError as error:
        raise VideoError(path, str(error)) from error
    except Exception as error:  # the library raises many types for a damaged file
        raise VideoError(path, f"cannot be read as HDF5 ({first_line(error)})") from error


def _frames(file: Any) -> tuple[int, Callable[[int], NDArray[Any]]]:
    """The number of frames of an open file, and the function that reads one of them."""
    if _WHOLE in file:
        whole = _own(file, _WHOLE)
        if whole.ndim != 4 or not len(whole):
            raise ValueError(f"expected {_WHOLE} of the shape (frames, 3, height, width), got {whole.shape}")
        return len(whole), lambda index: np.asarray(_checked(whole, whole.shape[1:])[index])
    names = sorted((name for name in file if _FRAME.fullmatch(name)), key=lambda name: int(name.rpartition("_")[2]))
    if not names:
        found = ", ".join(list(file)[:5]) or "nothing"
        raise ValueError(f"expected the colour frames {_WHOLE} (3DMAD) or Frame_0, Frame_1 ... (WMCA), got {found}")

    def frame_at(index: int) -> NDArray[Any]:
        frame = _own(file, f"{names[index]}/{_ARRAY}")
        return np.asarray(_checked(frame, frame.shape)[()])

    return len(names), frame_at


def _own(file: Any, name: str) -> Any:
    """An array that lies in the file itself: a link could name any file of this machine."""
    import h5py

    parts = name.split("/")
    links = [file.get("/".join(parts[: end + 1]), getlink=True) for end in range(len(parts))]
    found = file[name] if all(isinstance(link, h5py.HardLink) for link in links) else None
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise ValueError(f"{name} is not an array in the file")
    return found


def _checked(array: Any, shape: tuple[int, ...]) -> Any:
    """The array, before it is read: its frames must be colour images of a permitted size."""
    if len(shape) != 3 or shape[0] != 3 or not 0 < shape[1] * shape[2] <= MAX_PIXELS or array.dtype.kind not in "uif":
        raise ValueError(
            f"expected colour frames of the shape (3, height, width) with at most {MAX_PIXELS} pixels, got "
            f"{shape} of {array.dtype}; use the release with colour (RGB) images"
        )
    return array


def _image(frame: NDArray[Any]) -> NDArray[np.uint8]:
    if frame.dtype != np.uint8:
        low, high = float(frame.min()), float(frame.max())
        if not (low >= 0 and 1 < high <= 255):  # also refuses NaN
            raise ValueError(f"expected pixels in 0..255, got {low:g} to {high:g}")
    return np.ascontiguousarray(np.rint(frame).transpose(1, 2, 0), dtype=np.uint8)
