"""Reading a video file as upright RGB frames with their times, and writing a video file."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame as DecodedFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from facepad.errors import InputError, RunError, VideoError, reason, shown
from facepad.files.disk import atomic_path
from facepad.media.containers import name_of, open_video, refuse_size
from facepad.media.hdr import TRANSFERS, to_sdr
from facepad.media.images import MAX_PIXELS
from facepad.media.picking import by_rate, evenly
from facepad.runtime.arguments import is_number, require_positive
from facepad.types import VIDEO_SUFFIXES, VideoFrame

__all__ = ["VIDEO_SUFFIXES", "VideoFrame", "VideoFrames", "read_video", "write_video"]

# A fixed quantizer (1 is the best, 31 the worst): the quality of a frame then does not depend on motion.
_QUALITY = {"qmin": "3", "qmax": "3"}


@dataclass(frozen=True, slots=True)
class _Listing:
    """The list of a file's frames, from its packets, without decoding.

    Attributes:
        stamps: Display times of the frames, sorted, int64, in units of ``unit`` seconds.
        end: End of the display of the last frame, in the same units.
        unit: The unit of time, in seconds.
        numbered: Whether the display time of a decoded frame identifies the frame. If not, frames are counted.
        promised: Number of frames in the header; 0 if the header has no number.
        frame_pixels: Number of pixels of a frame, from the header.
    """

    stamps: NDArray[np.int64]
    end: int
    unit: Fraction
    numbered: bool
    promised: int
    frame_pixels: int


def read_video(
    source: Path | str | bytes,
    *,
    count: int | None = None,
    rate: float | None = None,
    max_pixels: int = MAX_PIXELS,
    threads: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> VideoFrames:
    """Decode frames of a video: all frames, ``count`` frames at even intervals, or ``rate`` frames per second.

    The file is read twice. The first pass reads the display times of the frames without decoding, because the number of
    frames in a header may be wrong. The second pass decodes. The display matrix of the file flips and rotates frames
    upright. HDR frames (PQ, HLG) are converted to SDR, and `VideoFrames.note` says so. Frames with pixels that are not
    square are not rescaled. A frame that is damaged or cannot be decoded is left out (`VideoFrames.missing` counts
    these).

    Args:
        source: A video file (AVI, MOV, MP4, Matroska, WebM, MPEG, ASF or DV), or the bytes of such a file.
        count: Number of frames, at least 1. The duration is divided into this number of equal parts, and the frame in
            the middle of each part is taken. No frame is taken twice: a neighbouring frame is taken instead. A video
            with fewer frames gives all its frames.
        rate: Frames per second of the video's duration, above 0. No frame occurs twice.
        max_pixels: Maximum number of pixels of a frame.
        threads: Decoding threads; 0 takes one per CPU core.
        stopped: A function that is called before each packet is decoded, and before bytes are read. If it returns True,
            the iteration ends.

    Returns:
        An iterator that holds one frame at a time.

    Raises:
        VideoError: the file is missing, empty, not a video, without frames, or too large. The message names the file.
            During the iteration: a frame is too large, or no frame can be decoded.
        InputError: count and rate are both given, or one of them is out of range.
    """
    if count is not None and rate is not None:
        raise InputError("read_video takes count or rate, not both")
    require_positive("count", count)
    if rate is not None and not (is_number(rate) and rate > 0):
        raise InputError(f"rate must be a number above 0, got {shown(rate)}")
    if not isinstance(source, bytes | str | os.PathLike):
        raise VideoError(None, f"expected a path or the bytes of a video, got {shown(source)}")
    source = source if isinstance(source, bytes) else Path(source)
    return VideoFrames(source, count=count, rate=rate, max_pixels=max_pixels, threads=threads, stopped=stopped)


class VideoFrames(Iterator[VideoFrame]):
    """The iterator that `read_video` returns. Frames are decoded during the iteration.

    Attributes:
        seconds: Duration of the whole video in seconds, from its packets.
        frames: Number of frames of the whole video.
        frame_pixels: Number of pixels of a frame, from the header.
        wanted: Number of requested frames.
        missing: Number of requested frames that could not be decoded; valid after the end of the iteration.
        hdr: Name of the HDR transfer function of the frames so far ("PQ" or "HLG"); None for SDR.
    """

    def __init__(
        self,
        source: Path | bytes,
        *,
        count: int | None,
        rate: float | None,
        max_pixels: int,
        threads: int,
        stopped: Callable[[], bool],
    ) -> None:
        self._source, self._max_pixels, self._threads, self._stopped = source, max_pixels, threads, stopped
        self._listing = _list_frames(source, max_pixels, stopped)
        self.frames, self.frame_pixels = len(self._listing.stamps), self._listing.frame_pixels
        self.seconds = float((self._listing.end - int(self._listing.stamps[0])) * self._listing.unit)
        self._picked = _pick(self._listing, count, rate)
        self._problem: str | None = None
        self._given = 0
        self.hdr: str | None = None
        self._frames = self._decode()
        self.wanted = len(self._picked)

    def __iter__(self) -> VideoFrames:
        return self

    def __next__(self) -> VideoFrame:
        return next(self._frames)

    @property
    def missing(self) -> int:
        """Number of requested frames that could not be decoded; valid after the end of the iteration."""
        return self.wanted - self._given

    @property
    def note(self) -> str | None:
        """The defect of the file and the conversion from HDR, one line; None for a sound file in SDR."""
        converted = f"HDR ({self.hdr}) was converted to SDR" if self.hdr else None
        return "; ".join(filter(None, (self.defect, converted))) or None

    @property
    def defect(self) -> str | None:
        """A defect of the file that did not prevent reading, one line; None for a file without defects."""
        found, promised = len(self._listing.stamps), self._listing.promised
        notes = []
        if promised > found:
            notes.append(f"its header names {promised} frames, but the file holds {found}")
        if self.missing:
            why = f" ({self._problem})" if self._problem else ""
            notes.append(f"{self.missing} of {self.wanted} wanted frames cannot be decoded{why}")
        return "; ".join(notes) or None

    def _decode(self) -> Iterator[VideoFrame]:
        listing, reformatter, last = self._listing, VideoReformatter(), -1
        stamps = array("q", listing.stamps.tobytes())  # faster than NumPy for single numbers
        with open_video(self._source, self._max_pixels, self._stopped) as (container, stream):
            stream.thread_type = "AUTO"
            stream.thread_count = self._threads
            waiting = map(int, self._picked)
            wanted: int | None = next(waiting)
            for decoded in self._decoded(container, stream):
                index = _index(listing, stamps, decoded.pts, last)
                last = max(last, index)
                while wanted is not None and wanted < index:
                    wanted = next(waiting, None)
                if wanted == index:
                    wanted = next(waiting, None)
                    try:
                        image = self._upright(decoded, reformatter)
                    except av.FFmpegError as error:
                        self._problem = reason(error)
                        continue
                    self._given += 1
                    yield VideoFrame(index, float((stamps[index] - stamps[0]) * listing.unit), image)
                if wanted is None:
                    break
        if not self._given and not self._stopped():
            why = f" ({self._problem})" if self._problem else ""
            raise VideoError(name_of(self._source), f"none of its {len(listing.stamps)} frames can be decoded{why}")

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[DecodedFrame]:
        """The decodable frames, in display order. An error is noted, and decoding continues."""
        # If frames do not depend on other frames, only the requested frames are decoded.
        alone = self._listing.numbered and stream.codec_context.codec.intra_only
        picked = set(self._listing.stamps[self._picked].tolist()) if alone else None
        for packet in self._packets(container, stream):
            if self._stopped():
                return
            if picked is not None and packet is not None and packet.pts not in picked:
                continue
            try:
                frames = stream.decode(packet)
            except av.FFmpegError as error:
                self._problem = reason(error)
                continue
            yield from (frame for frame in frames if not frame.is_corrupt)

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream] | None]:
        """The complete packets, then None, which flushes the decoder."""
        try:
            for packet in container.demux(stream):
                if packet.is_corrupt:
                    self._problem = "a frame is cut off"
                elif packet.size:
                    yield packet
        except av.FFmpegError as error:
            self._problem = reason(error)
        yield None

    def _upright(self, frame: DecodedFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
        refuse_size(name_of(self._source), frame.width, frame.height, self._max_pixels)
        self.hdr = TRANSFERS.get(frame.color_trc, self.hdr)
        if frame.color_trc in TRANSFERS:
            # Not "rgb48le", of which FFmpeg 8.0 gives wrong colours.
            deep = reformatter.reformat(frame, format="gbrp16le", threads=1).to_ndarray()
            image = to_sdr(np.asarray(deep, np.uint16), frame.color_trc)
        else:
            image = np.asarray(reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray(), np.uint8)
        return np.ascontiguousarray(_turned(image, frame), dtype=np.uint8)


def _turned(image: NDArray[np.uint8], frame: DecodedFrame) -> NDArray[np.uint8]:
    """The image, flipped and rotated by the frame's display matrix, to the nearest multiple of 90 degrees."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    # The pixel (x, y) is displayed at (a x + c y, b x + d y). A mirrored clip has a negative determinant.
    a, b, _, c, d = map(int, np.frombuffer(matrix, np.int32)[:5])
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.transpose(1, 0, 2), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def write_video(path: Path, images: Iterable[NDArray[np.uint8]], *, rate: int = 25) -> None:
    """Write RGB images as an MPEG-4 video, atomically. The same images give the same bytes.

    Args:
        path: File to write: .mp4, .avi, .mov or .mkv. Missing parent folders are created.
        images: At least one image, uint8 (height, width, 3), all of the same size.
        rate: Frames per second.

    Raises:
        InputError: ``images`` is empty, or the images have different sizes.
        RunError: the file cannot be written.
    """
    waiting = iter(images)
    first = next(waiting, None)
    if first is None:
        raise InputError(f"cannot write {path}: a video needs at least one image")
    height, width = first.shape[:2]
    with atomic_path(Path(path), sync=False) as temporary:
        try:
            with av.open(str(temporary), "w", options={"fflags": "+bitexact"}) as container:
                stream = container.add_stream("mpeg4", rate=rate, options=_QUALITY)
                stream.width, stream.height, stream.pix_fmt, stream.thread_count = width, height, "yuv420p", 1
                for image in chain((first,), waiting):
                    if image.shape != first.shape:
                        raise InputError(f"cannot write {path}: got images of shapes {first.shape} and {image.shape}")
                    container.mux(stream.encode(DecodedFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")))
                container.mux(stream.encode())
        except av.FFmpegError as error:
            raise RunError(f"cannot write {path}: {reason(error)}") from error


def _list_frames(source: Path | bytes, max_pixels: int, stopped: Callable[[], bool]) -> _Listing:
    """List the frames from the display times of the packets. Packets that are not displayed are not frames."""
    # 8 bytes per frame: an hour of video takes less than a megabyte.
    stamps, timed, hidden, ends = array("q"), True, 0, 0
    with open_video(source, max_pixels, stopped) as (container, stream):
        promised, unit, rate = stream.frames, stream.time_base, stream.average_rate
        reordered, is_avi = bool(stream.codec_context.has_b_frames), container.format.name == "avi"
        pixels = stream.codec_context.width * stream.codec_context.height
        # After a demux error, the packets before the error are still used.
        with suppress(av.FFmpegError):
            for packet in container.demux(stream):
                if packet.is_discard:
                    hidden += 1
                elif packet.size:
                    timed = timed and packet.pts is not None
                    stamps.append(packet.pts or 0)
                    ends = max(ends, stamps[-1] + (packet.duration or 0))
    if not stamps:
        raise VideoError(name_of(source), "holds no frames")
    if not (timed and unit):
        count = len(stamps)
        return _Listing(
            np.arange(count, dtype=np.int64), count, 1 / (rate or Fraction(25)), False, promised - hidden, pixels
        )
    in_file = np.frombuffer(stamps, np.int64)
    times = np.unique(in_file)
    # Reordered frames (B-frames) need display times that do not rise in file order. If the times rise, the container
    # has only decoding times, and FFmpeg guessed the display times. For AVI, FFmpeg always guesses.
    guessed = reordered and (is_avi or bool((np.diff(in_file) > 0).all()))
    # Some files have no durations. The last frame then gets the mean duration of the other frames.
    typical = (int(times[-1]) - int(times[0])) // max(len(times) - 1, 1) or 1
    end = ends if ends > times[-1] else int(times[-1]) + typical
    return _Listing(times, end, unit, not guessed, promised - hidden, pixels)


def _pick(listing: _Listing, count: int | None, rate: float | None) -> NDArray[np.int64]:
    stamps = listing.stamps
    if count is not None:
        return evenly(stamps, listing.end, count)
    if rate is not None:
        return by_rate(stamps, listing.end, 1 / (rate * float(listing.unit)))
    return np.arange(len(stamps), dtype=np.int64)


def _index(listing: _Listing, stamps: Sequence[int], stamp: int | None, last: int) -> int:
    """Index of the frame with this display time. If the time does not identify a frame, the index after ``last``."""
    following = last + 1
    if not listing.numbered or stamp is None or (following < len(stamps) and stamps[following] == stamp):
        return following
    index = bisect_left(stamps, stamp)
    return index if index < len(stamps) and stamps[index] == stamp else following
