"""Data sets whose videos were converted to frames by another program: numbered images with the name of the video."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from facepad.datasets.adapter import Scan
from facepad.datasets.frames import FrameChoice
from facepad.errors import InputError
from facepad.media.images import IMAGE_SUFFIXES
from facepad.types import VIDEO_SUFFIXES, Sample

__all__ = ["chosen_frames", "possible_videos", "videos_or_frames"]

_NUMBERED = re.compile(r"(?P<video>.*?)[ _.-]*(?:frame|f)?[ _.-]*(?P<index>\d+)", re.IGNORECASE)


def possible_videos(file: PurePosixPath) -> Iterator[tuple[PurePosixPath, int | None]]:
    """Yield each video that a file may belong to, without its ending, and the file's frame number in that video.

    The frame number is None if the file may be the whole video.

    >>> list(possible_videos(PurePosixPath("real/a_1.mov")))
    [(PurePosixPath('real/a_1'), None)]
    >>> list(possible_videos(PurePosixPath("real/a_1/frame_0012.png")))
    [(PurePosixPath('real/a_1'), 12)]
    >>> list(possible_videos(PurePosixPath("real/a_1_frame12.jpg")))[-1]
    (PurePosixPath('real/a_1'), 12)
    """
    ending = file.suffix.lower()
    if file.name.startswith("."):  # macOS adds a hidden file "._NAME" for each copied file
        return
    if ending in VIDEO_SUFFIXES:
        yield file.with_suffix(""), None
    match = _NUMBERED.fullmatch(file.stem) if ending in IMAGE_SUFFIXES else None
    if match is not None:
        folder, index = file.parent, int(match["index"])
        yield (folder.with_suffix("") if folder.suffix.lower() in VIDEO_SUFFIXES else folder), index
        if match["video"]:
            yield folder / match["video"], index


def videos_or_frames(samples: Sequence[Sample], scan: Scan) -> list[Sample]:
    """Keep the whole videos; if there is no whole video, keep the frames. No video or frame is kept twice.

    All other samples are added to ``scan.skipped``.
    """
    any_whole = any(sample.frame is None for sample in samples)
    found: dict[tuple[str, int | None], Sample] = {}
    for sample in samples:
        video = sample.video or PurePosixPath(sample.path).with_suffix("").as_posix()
        if any_whole and sample.frame is not None:
            scan.skipped.append((sample.path, "a frame of a data set that also holds whole videos"))
        elif (video.lower(), sample.frame) in found:
            scan.skipped.append((sample.path, f"the same {'video' if any_whole else 'frame'} under two names"))
        else:
            found[video.lower(), sample.frame] = sample
    return list(found.values())


def chosen_frames(scan: Scan, choice: FrameChoice) -> Scan:
    """Reduce a scan of frames to the chosen number of frames per video, evenly spread.

    A video with fewer frames keeps all of them.

    Raises:
        InputError: the choice is a number of frames per second, but the times of the frames are not known.
    """
    count = choice.count
    if count is None:
        raise InputError(f"{scan.root} holds frames, whose times are not known; choose a number of frames, not a rate")
    folds = {fold: _evenly(samples, count) for fold, samples in scan.folds.items()}
    available, chosen = (
        {(s.video, s.frame) for samples in part.values() for s in samples} for part in (scan.folds, folds)
    )
    videos = {video for video, _ in available}
    note = f"no videos, but {len(available)} frames of {len(videos)} videos; {len(chosen)} of these frames were used"
    return replace(scan, folds=folds, notes=[*scan.notes, note])


def _evenly(samples: Sequence[Sample], count: int) -> list[Sample]:
    of_video: dict[str | None, list[Sample]] = defaultdict(list)
    for sample in samples:
        of_video[sample.video].append(sample)
    chosen = []
    for frames in of_video.values():
        ordered, number = sorted(frames, key=lambda s: s.frame or 0), min(count, len(frames))
        chosen += [ordered[(2 * place + 1) * len(ordered) // (2 * number)] for place in range(number)]
    return chosen
