"""Extracting the frames of videos to image files, in parallel, and only once for each video."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.adapter import Adapter, Scan
from facepad.datasets.hdf5_frames import is_hdf5, read_hdf5
from facepad.errors import InputError, VideoError, reason
from facepad.files.disk import json_line, read_json, write_text, writing
from facepad.files.opening import require_regular
from facepad.media.images import write_image
from facepad.media.videos import read_video
from facepad.runtime.arguments import require_positive
from facepad.runtime.parallel import available_cpus, map_ahead
from facepad.runtime.progress import progress_bar

__all__ = ["ExtractedVideo", "FrameChoice", "extract_frames", "take_frames", "unreadable_videos"]

# One JPEG quality for both classes. A network could use a difference in compression to separate the classes.
_QUALITY = 95
_DONE = "frames.json"


@dataclass(frozen=True, slots=True)
class FrameChoice:
    """The choice of frames in each video: a number of frames, or a number of frames per second.

    Attributes:
        count: Frames per video, at least 1, evenly spread over the video. A shorter video gives all of its frames.
        rate: Frames per second of the video, above 0. Exactly one of ``count`` and ``rate`` is given.

    Raises:
        InputError: both or neither are given, or the number is out of its range.

    >>> str(FrameChoice(count=20)), str(FrameChoice(rate=2.5))
    ('20 frames per video', '2.5 frames per second')
    """

    count: int | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        if (self.count is None) == (self.rate is None):
            got = "neither" if self.count is None else f"{self.count} and {self.rate:g}"
            raise InputError(f"expected either frames per video or frames per second, got {got}")
        if self.count is not None and self.count < 1:
            raise InputError(f"frames per video: expected at least 1, got {self.count}")
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise InputError(f"frames per second: expected a number above 0, got {self.rate:g}")

    @property
    def unit(self) -> str:
        """``frames per video`` or ``frames per second``."""
        return "frames per second" if self.count is None else "frames per video"

    def __str__(self) -> str:
        return f"{self.rate if self.count is None else self.count:g} {self.unit}"


@dataclass(frozen=True, slots=True)
class ExtractedVideo:
    """The extracted frames of one video.

    Attributes:
        folder: The folder of the frame images, relative to the output folder, with forward slashes.
        frames: (index, seconds) of each frame; seconds is None if the file has no times. The image of a frame is
            ``folder/<index:06d>.jpg``.
        note: A defect of a video that could be read only in part; None for a video without a defect.
        error: The reason why the video cannot be read, in one line with the video's path; None if it was read.
    """

    folder: str
    frames: tuple[tuple[int, float | None], ...] = ()
    note: str | None = None
    error: str | None = None

    def image(self, index: int) -> str:
        """The path of one frame's image, relative to the output folder."""
        return f"{self.folder}/{index:06d}.jpg"


def take_frames(
    adapter: Adapter,
    scan: Scan,
    out: Path,
    choice: FrameChoice,
    *,
    jobs: int | None = None,
    progress: bool = False,
) -> tuple[Scan, dict[str, ExtractedVideo]]:
    """Write frames of a scan's videos to ``out``, as `extract_frames` does.

    Returns:
        A scan of the frames, and the extracted frames by video. In the scan, paths are relative to ``out``, and each
        sample has a video, a frame and, if the data set annotates the frame, a box. A video that cannot be read has no
        samples.

    Raises:
        DatasetError: the data set's own boxes cannot be read.
        InputError: jobs is below 1, or ``out`` cannot be made.
        RunError: an image cannot be written.
    """
    samples = {sample.path: sample for fold in scan.folds.values() for sample in fold}
    find = adapter.video_boxes
    known = {path: find(scan.root, sample) if find else {} for path, sample in samples.items()}
    videos = extract_frames(list(samples), scan.root.resolve(), out, choice, jobs=jobs, progress=progress)
    folds = {
        fold: [
            replace(s, path=videos[s.path].image(index), video=s.path, frame=index, box=known[s.path].get(index))
            for s in whole
            for index, _ in videos[s.path].frames
        ]
        for fold, whole in scan.folds.items()
    }
    notes = list(scan.notes)
    if find:
        boxes = {sample.path: sample.box for fold in folds.values() for sample in fold}
        given = sum(box is not None for box in boxes.values())
        notes.append(f"{given} of {len(boxes)} frames have a box from the data set's own face files")
    return Scan(out, folds, scan.skipped, notes), videos


def unreadable_videos(videos: Mapping[str, ExtractedVideo]) -> list[tuple[str, str]]:
    """(name, reason) of each video that cannot be read."""
    return [(name, video.error) for name, video in videos.items() if video.error is not None]


def extract_frames(
    names: Sequence[str],
    root: Path,
    out: Path,
    choice: FrameChoice,
    *,
    jobs: int | None = None,
    progress: bool = False,
) -> dict[str, ExtractedVideo]:
    """Write frames of each video to ``out``/frames/<video without suffix>/.

    A video is not read again if an earlier run extracted the same choice of frames from the same file. An interrupted
    run can therefore continue. No file is ever removed.

    Args:
        names: The videos, relative to ``root``, with forward slashes.
        root: The data set's folder.
        out: The output folder.
        choice: The choice of frames.
        jobs: Number of videos that are read in parallel, at least 1; None takes the number of CPU cores.
        progress: Whether to show a progress bar on stderr.

    Returns:
        The result by name, in the order given. A video that cannot be read has an ``error``.

    Raises:
        InputError: jobs is below 1, or ``out`` cannot be made.
        RunError: an image cannot be written.
    """
    require_positive("jobs", jobs)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    jobs = min(jobs or available_cpus(), max(len(names), 1))
    # With more CPU cores than videos, several threads decode one video.
    threads = max(1, available_cpus() // jobs)
    extract = partial(_extract, root=root, out=out, choice=choice, threads=threads)
    folders = _folders(names)
    found: dict[str, ExtractedVideo] = {}
    with progress_bar("taking frames", len(folders), shown=progress) as advance:
        results = map_ahead(extract, folders.items(), ahead=2 * jobs, threads=jobs)
        for name, result in zip(folders, results, strict=True):
            found[name] = result
            advance()
    return found


def _folders(names: Sequence[str]) -> dict[str, str]:
    """Video -> folder of the video's frames. Names that differ only in the suffix keep the suffix.

    >>> _folders(["x/a.avi", "x/b.avi", "x/b.mov"])
    {'x/a.avi': 'frames/x/a', 'x/b.avi': 'frames/x/b.avi', 'x/b.mov': 'frames/x/b.mov'}
    """
    stems = {name: PurePosixPath(name).with_suffix("").as_posix() for name in names}
    shared = Counter(stem.lower() for stem in stems.values())
    return {name: f"frames/{stem if shared[stem.lower()] == 1 else name}" for name, stem in stems.items()}


def _extract(item: tuple[str, str], *, root: Path, out: Path, choice: FrameChoice, threads: int) -> ExtractedVideo:
    """Extract the frames of one video, given as (name, folder), unless an earlier run extracted them."""
    name, folder = item
    try:
        source = _source(root / name, choice)
    except (OSError, ValueError) as error:
        return ExtractedVideo(folder, error=f"{root / name}: cannot be read ({reason(error)})")
    done = _earlier(out, folder, source)
    if done is not None:
        return done
    result, video = ExtractedVideo(folder), None
    frames: list[tuple[int, float | None]] = []
    found: Iterator[tuple[int, float | None, NDArray[np.uint8]]]
    try:
        if is_hdf5(name):
            found = ((index, None, image) for index, image in read_hdf5(root / name, choice.count or 1))
        else:
            video = read_video(root / name, count=choice.count, rate=choice.rate, threads=threads)
            found = ((frame.index, round(frame.seconds, 6), frame.image) for frame in video)
        for index, seconds, image in found:
            write_image(out / result.image(index), image, quality=_QUALITY)
            frames.append((index, seconds))
    except VideoError as error:
        return ExtractedVideo(folder, error=str(error))
    result = ExtractedVideo(folder, tuple(frames), video.defect if video else None)
    facts = {**source, "frames": result.frames, "note": result.note}
    write_text(out / folder / _DONE, json_line(facts), sync=False)
    return result


def _source(path: Path, choice: FrameChoice) -> dict[str, Any]:
    """The facts that the frames of a video depend on: the choice of frames, the file's size and modification time."""
    status = require_regular(path)
    chosen = {"rate": choice.rate} if choice.count is None else {"count": choice.count}
    return {**chosen, "length": status.st_size, "mtime_ns": status.st_mtime_ns}


def _earlier(out: Path, folder: str, source: Mapping[str, Any]) -> ExtractedVideo | None:
    """The frames that an earlier run extracted from the same file; None if the video must be read."""
    try:
        done = read_json(out / folder / _DONE)
        times = tuple((int(i), None if s is None else float(s)) for i, s in done["frames"])
        video = ExtractedVideo(folder, times, done["note"])
        same = all(done[key] == value for key, value in source.items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return video if same and all((out / video.image(index)).is_file() for index, _ in video.frames) else None
