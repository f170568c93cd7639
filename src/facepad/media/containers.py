"""Opens video files with FFmpeg: only known formats, no references to other files, no frames over the limit."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from facepad.errors import VideoError, reason
from facepad.files.opening import MaxBytes, open_regular, require_regular
from facepad.media.formats import HEAD, format_of
from facepad.media.mp4_tables import why_unsafe
from facepad.media.stoppable import StoppableBytes

__all__ = ["name_of", "open_video", "refuse_size"]

# No other format is tried. A playlist could name other files or URLs, and a hostile file could attack every parser.
_FORMATS = "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,dv,mpeg,mpegts"
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
_OPTIONS_OF_BYTES = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}  # bytes must not refer to files
# A video with metadata that is not UTF-8 stays readable. PyAV 19 needs no argument for this.
_LENIENT: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}


@contextmanager
def open_video(
    source: Path | bytes, max_pixels: int, stopped: Callable[[], bool]
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file, and close it at the end of the block.

    Args:
        source: A video file, or the bytes of such a file.
        max_pixels: Maximum number of pixels of a frame.
        stopped: A function that is called before each read of bytes. If it returns True, the file seems to end.

    Yields:
        The file and its video stream.

    Raises:
        VideoError: The file is missing, empty, unsafe to read or not a video, or its frames are too large.
    """
    name = name_of(source)
    length = _length(source, name)
    if not length:
        raise VideoError(name, "is empty")
    with suppress(OSError):  # PyAV gives the reason
        _refuse_disguised(source, name, length)
    # FFmpeg refuses larger frames before it decodes them, even if the header names a smaller size. Twice the limit
    # leaves room for the padding of a frame.
    limit = {"max_pixels": str(min(2 * max_pixels, 2**31 - 1))}
    try:
        if isinstance(source, bytes):
            container = av.open(StoppableBytes(source, stopped), "r", options=_OPTIONS_OF_BYTES | limit, **_LENIENT)
        else:  # with the prefix "file:", a name such as "http:..." is a file name, not a URL
            container = av.open(f"file:{source.absolute()}", "r", options=_OPTIONS | limit, **_LENIENT)
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(name, f"cannot be opened as a video ({reason(error)})") from error
    with container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise VideoError(name, "holds no video stream; is the copy complete?")
        # If FFmpeg does not know the codec, the codec context is None. PyAV's type hints do not mention this.
        if getattr(stream, "codec_context", None) is None:
            raise VideoError(name, "the codec is unknown")
        refuse_size(name, stream.codec_context.width, stream.codec_context.height, max_pixels)
        stream.codec_context.options = limit
        yield container, stream


def name_of(source: Path | bytes) -> str:
    """The name of a source in messages."""
    return f"video of {len(source)} bytes" if isinstance(source, bytes) else str(source)


def _length(source: Path | bytes, name: str) -> int:
    if isinstance(source, bytes):
        return len(source)
    try:
        return require_regular(source, MaxBytes.VIDEO).st_size
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise VideoError(name, f"cannot be read ({reason(error)})") from error


def _refuse_disguised(source: Path | bytes, name: str, length: int) -> None:
    """Refuse HEIC and AVIF, of which FFmpeg would take each tile for a video, and files that it cannot read safely."""
    with io.BytesIO(source) if isinstance(source, bytes) else open_regular(source) as stream:
        head = stream.read(HEAD)
        kind = format_of(head)
        if kind in ("HEIC", "AVIF"):
            raise VideoError(name, f"is an image ({kind}), not a video")
        if head[4:8].isalpha() and (why := why_unsafe(stream, length)):
            raise VideoError(name, why)


def refuse_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse frames that are too large.

    Raises:
        VideoError: A frame has more than ``max_pixels`` pixels.
    """
    if width * height > max_pixels:
        raise VideoError(name, f"{width}x{height} pixels, the limit is {max_pixels} pixels")
