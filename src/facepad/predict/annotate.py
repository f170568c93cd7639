"""Copies of images and videos with the decisions drawn into them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.errors import VideoError
from facepad.files.disk import claim_output
from facepad.media.images import read_image, write_image
from facepad.media.videos import read_video, write_video
from facepad.predict.sources import Source
from facepad.types import Decision, Found, FrameDecision, Label, VideoDecision

__all__ = ["Annotations", "annotate"]

Image = NDArray[np.uint8]
_COLOURS = {Label.BONA_FIDE: (0, 150, 60), Label.ATTACK: (200, 30, 30), None: (110, 110, 110)}
_WHITE = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")  # WebP ends at 16383 pixels, which PNG does not


def annotate(image: Image, decisions: Sequence[Decision]) -> Image:
    """A copy with each decision's box, verdict and score, and the depth that the model saw at the lower left.

    Bona fide is green, an attack red, undecided grey. A decision without a box frames the whole image.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
        decisions: Of this image.

    Returns:
        uint8 RGB of the same shape.
    """
    drawn = image.copy()
    side = min(image.shape[:2])
    thick = max(1, side // 200)
    height, width = image.shape[:2]
    for decision in reversed(decisions):  # the most prominent face last, on top
        x1, y1, x2, y2 = (round(edge) for edge in decision.box.xyxy) if decision.box else (0, 0, width, height)
        colour = _COLOURS[decision.label]
        cv2.rectangle(drawn, (x1, y1), (x2 - 1, y2 - 1), colour, thick)
        _write(drawn, _caption(decision), (x1, y1), colour, side)
    maps = [decision for decision in decisions if decision.depth_map is not None]
    for place, decision in enumerate(maps[: width // max(1, side // 4)]):
        _inset(drawn, decision, place, side // 4)
    return drawn


def _caption(decision: Decision) -> str:
    score = "" if decision.score is None else f" {decision.score:.2f}"
    reasons = f": {', '.join(decision.reasons)}" if decision.reasons else ""
    return f"{decision.verdict}{score}{reasons}"


def _write(image: Image, text: str, corner: tuple[int, int], colour: tuple[int, int, int], side: int) -> None:
    """White text on a bar above the corner; below it where the image ends."""
    scale, thick = max(0.35, side / 700), max(1, side // 400)
    (width, height), below = cv2.getTextSize(text, _FONT, scale, thick)
    x = max(0, min(corner[0], image.shape[1] - width))
    bottom = max(min(corner[1], image.shape[0]), height + 2 * below)
    cv2.rectangle(image, (x, bottom - height - 2 * below), (x + width, bottom), colour, cv2.FILLED)
    cv2.putText(image, text, (x, bottom - below), _FONT, scale, _WHITE, thick, cv2.LINE_AA)


def _inset(image: Image, decision: Decision, place: int, side: int) -> None:
    if side < 2 or decision.depth_map is None:
        return
    levels = (np.clip(decision.depth_map, 0, 1) * 255).round().astype(np.uint8)
    depth = cv2.resize(levels, (side, side), interpolation=cv2.INTER_NEAREST)
    part = image[-side:, place * side : (place + 1) * side]
    part[:] = depth[..., None]
    cv2.rectangle(part, (0, 0), (side - 1, side - 1), _COLOURS[decision.label], max(1, side // 50))


class Annotations:
    """A folder of annotated copies, whose names mirror the sources; nothing is ever overwritten.

    Args:
        folder: New or empty.

    Raises:
        OutputExistsError: it holds something.
        InputError: it is a file, or cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = claim_output(folder)
        self._taken: set[str] = set()

    def add(self, source: Source, found: Found, image: Image | None = None) -> Path:
        """Write the copy of a source: an image, an MP4 of the frames that were looked at, or a camera's frame.

        Args:
            source: It is read once more.
            found: The decisions on it.
            image: A camera's frame.

        Raises:
            ImageError, VideoError: the source cannot be read any more.
            RunError: the copy cannot be written.
        """
        if isinstance(found, VideoDecision):
            assert isinstance(source.content, Path)
            target = self._target(source.mirror.with_suffix(".mp4"))
            write_video(target, _frames(source.content, found), rate=_rate(found))
            return target
        if isinstance(found, FrameDecision):
            assert image is not None
            target = self._target(source.mirror / f"{found.index:06}.jpg")
            write_image(target, annotate(image, found.decisions))
            return target
        assert not isinstance(source.content, int)
        mirror = source.mirror if source.mirror.suffix.lower() in _SUFFIXES else source.mirror.with_suffix(".png")
        target = self._target(mirror)
        write_image(target, annotate(read_image(source.content), found))
        return target

    def _target(self, mirror: PurePath) -> Path:
        """A free name: sources from several places may share theirs."""
        name, number = mirror, 1
        while (key := name.as_posix().casefold()) in self._taken:  # some file systems do not tell "a" from "A"
            number += 1
            name = mirror.with_stem(f"{mirror.stem}-{number}")
        self._taken.add(key)
        return self._folder / name


def _frames(path: Path, video: VideoDecision) -> Iterator[Image]:
    """The frames that were looked at, annotated, all of the first one's size."""
    decisions = {frame.index: frame.decisions for frame in video.frames}
    size = None
    for frame in read_video(path, count=video.asked):
        if frame.index in decisions:
            drawn = annotate(frame.image, decisions[frame.index])
            size = size or drawn.shape[:2]
            if drawn.shape[:2] != size:
                drawn = np.asarray(cv2.resize(drawn, size[::-1]), dtype=np.uint8)
            yield drawn
    if size is None:
        raise VideoError(path, "none of the frames that were looked at is there any more")


def _rate(video: VideoDecision) -> int:
    """Whole frames per second with which the copy takes about as long as the video."""
    seconds = video.frames[-1].seconds - video.frames[0].seconds
    return min(max(1, round((len(video.frames) - 1) / seconds)), 25) if seconds > 0 else 1
