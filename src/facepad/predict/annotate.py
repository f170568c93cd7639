"""Copies of images and videos with the decisions drawn on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from facepad.errors import VideoError
from facepad.files.locks import new_folder
from facepad.media.images import read_image, write_image
from facepad.media.videos import read_video, write_video
from facepad.modelfile.scorers import OcclusionMap
from facepad.predict.sources import Source
from facepad.types import Box, Decision, FrameDecision, Label, SourceDecision, VideoDecision

__all__ = ["Annotations", "Why", "annotate"]

Image = NDArray[np.uint8]
Why = Callable[[Image, Box | None], OcclusionMap]
"""Function of an image, uint8 RGB ``(H, W, 3)``, and a face square. It makes an occlusion map."""
_COLOURS = {Label.BONA_FIDE: (0, 150, 60), Label.ATTACK: (200, 30, 30), None: (110, 110, 110)}
_WHITE = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Copies keep these file extensions. All other copies are PNG. WebP allows only 16383 pixels a side.
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")


def annotate(image: Image, decisions: Sequence[Decision], why: Why | None = None) -> Image:
    """Draw the box, verdict and score of each decision on a copy. Depth maps are drawn at the lower left.

    Bona fide is green, attack is red, and undecided is grey. A decision without a box surrounds the whole image.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
        decisions: The decisions on this image, the most prominent face first.
        why: Function of an image and a face square that makes an occlusion map (`Pipeline.why`). The map colours the
            image of the first decision that has a score. None draws no map.

    Returns:
        uint8 RGB of the same shape.
    """
    scored = next((decision for decision in decisions if decision.score is not None), None)
    drawn = image.copy() if why is None or scored is None else why(image, scored.box).drawn_on(image)
    side = min(image.shape[:2])
    thick = max(1, side // 200)
    height, width = image.shape[:2]
    for decision in reversed(decisions):  # The most prominent face is drawn last, on top.
        x1, y1, x2, y2 = (round(edge) for edge in decision.box.xyxy) if decision.box else (0, 0, width, height)
        colour = _COLOURS[decision.label]
        cv2.rectangle(drawn, (x1, y1), (x2 - 1, y2 - 1), colour, thick)
        _write_caption(drawn, _caption(decision), (x1, y1), colour, side)
    maps = [decision for decision in decisions if decision.depth_map is not None]
    for place, decision in enumerate(maps[: width // max(1, side // 4)]):
        _draw_depth(drawn, decision, place, side // 4)
    return drawn


def _caption(decision: Decision) -> str:
    score = "" if decision.score is None else f" {decision.score:.2f}"
    reasons = f": {', '.join(decision.reasons)}" if decision.reasons else ""
    return f"{decision.verdict}{score}{reasons}"


def _write_caption(image: Image, text: str, corner: tuple[int, int], colour: tuple[int, int, int], side: int) -> None:
    """Write white text on a bar above the corner, or below the corner at the upper edge of the image."""
    scale, thick = max(0.35, side / 700), max(1, side // 400)
    (width, height), below = cv2.getTextSize(text, _FONT, scale, thick)
    x = max(0, min(corner[0], image.shape[1] - width))
    bottom = max(min(corner[1], image.shape[0]), height + 2 * below)
    cv2.rectangle(image, (x, bottom - height - 2 * below), (x + width, bottom), colour, cv2.FILLED)
    cv2.putText(image, text, (x, bottom - below), _FONT, scale, _WHITE, thick, cv2.LINE_AA)


def _draw_depth(image: Image, decision: Decision, place: int, side: int) -> None:
    if side < 2 or decision.depth_map is None:
        return
    levels = (np.clip(decision.depth_map, 0, 1) * 255).round().astype(np.uint8)
    depth = cv2.resize(levels, (side, side), interpolation=cv2.INTER_NEAREST)
    part = image[-side:, place * side : (place + 1) * side]
    part[:] = depth[..., None]
    cv2.rectangle(part, (0, 0), (side - 1, side - 1), _COLOURS[decision.label], max(1, side // 50))


class Annotations:
    """A folder of annotated copies with the relative paths of the sources. A copy never overwrites another file.

    The class is a context manager, which locks the folder: ``with Annotations(folder) as copies: copies.add(...)``.
    The block raises the errors below when it begins.

    Args:
        folder: A new or empty folder. The context manager creates it.
        why: Function that makes an occlusion map, as in `annotate`.

    Raises:
        OutputExistsError: The folder is not empty.
        BusyError: Another process writes to the folder.
        InputError: The path is a file, or the folder cannot be created.
    """

    def __init__(self, folder: Path, why: Why | None = None) -> None:
        self._folder, self._why = folder, why
        self._held = ExitStack()
        self._taken: set[str] = set()

    def __enter__(self) -> Self:
        self._held.enter_context(new_folder(self._folder, "writing annotated copies"))
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def add(self, source: Source, result: SourceDecision, image: Image | None = None) -> Path:
        """Write a copy of a source: an image, an MP4 with the examined frames of a video, or a camera frame.

        Args:
            source: The source of the result. An image or a video is read again.
            result: The decisions on the source.
            image: The camera frame; None for images and videos.

        Raises:
            ImageError, VideoError: The source can no longer be read.
            RunError: The copy cannot be written.
        """
        if isinstance(result, VideoDecision):
            assert isinstance(source.content, Path)
            target = self._free_path(source.mirror.with_suffix(".mp4"))
            write_video(target, _annotated_frames(source.content, result, self._why), rate=_frame_rate(result))
        elif isinstance(result, FrameDecision):
            assert image is not None
            target = self._free_path(source.mirror / f"{result.index:06}.jpg")
            write_image(target, annotate(image, result.decisions, self._why))
        else:
            assert not isinstance(source.content, int)
            mirror = source.mirror if source.mirror.suffix.lower() in _SUFFIXES else source.mirror.with_suffix(".png")
            target = self._free_path(mirror)
            write_image(target, annotate(read_image(source.content), result, self._why))
        return target

    def _free_path(self, mirror: PurePath) -> Path:
        """A path that no earlier copy has. Files from several folders may have the same name."""
        name, number = mirror, 1
        while (key := name.as_posix().casefold()) in self._taken:  # Some file systems ignore case.
            number += 1
            name = mirror.with_stem(f"{mirror.stem}-{number}")
        self._taken.add(key)
        return self._folder / name


def _annotated_frames(path: Path, video: VideoDecision, why: Why | None) -> Iterator[Image]:
    """The annotated examined frames, all in the size of the first frame."""
    decisions = {frame.index: frame.decisions for frame in video.frames}
    size = None
    for frame in read_video(path, count=video.asked):
        if frame.index in decisions:
            drawn = annotate(frame.image, decisions[frame.index], why)
            size = size or drawn.shape[:2]
            if drawn.shape[:2] != size:
                drawn = np.asarray(cv2.resize(drawn, size[::-1]), dtype=np.uint8)
            yield drawn
    if size is None:
        raise VideoError(path, "none of the examined frames can be read again")


def _frame_rate(video: VideoDecision) -> int:
    """Frame rate from 1 to 25 per second at which the copy plays about as long as the video."""
    seconds = video.frames[-1].seconds - video.frames[0].seconds
    return min(max(1, round((len(video.frames) - 1) / seconds)), 25) if seconds > 0 else 1
