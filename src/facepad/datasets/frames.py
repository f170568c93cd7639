"""Frames of many videos as image files: in parallel, with progress, and each video only once."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from facepad.datasets.adapter import Adapter, Scan
from facepad.errors import InputError, VideoError
from facepad.files.disk import write_text
from facepad.media.images import write_image
from facepad.media.videos import read_video
from facepad.runtime.parallel import available_cpus, map_ahead

__all__ = ["DEFAULT_COUNT", "ExtractedVideo", "check_choice", "extract_frames", "take_frames", "unreadable_videos"]

DEFAULT_COUNT = 20
"""Frames taken of each video unless told otherwise."""

# The same for both classes: else the compression would tell them apart.
_QUALITY = 95
_RECORD = "frames.json"


@dataclass(frozen=True, slots=True)
class ExtractedVideo:
    """What was taken out of one video.

    Attributes:
        folder: Where its images lie, relative to the output folder, forward slashes.
        frames: (index, seconds) of each frame taken; image ``folder/<index:06d>.jpg``.
        note: What is wrong with the video although frames could be taken; None for a sound one.
        error: Why nothing could be read (one line that names it), else None.
    """

    folder: str
    frames: tuple[tuple[int, float], ...] = ()
    note: str | None = None
    error: str | None = None

    def image(self, index: int) -> str:
        """The image of one frame, relative to the output folder."""
        return f"{self.folder}/{index:06d}.jpg"


def take_frames(
    adapter: Adapter,
    scan: Scan,
    out: Path,
    *,
    count: int | None = None,
    rate: float | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> tuple[Scan, dict[str, ExtractedVideo]]:
    """Turn a scan of videos into one of their frames, which are written to ``out``.

    Returns:
        The scan, relative to ``out``, each sample with video, frame and, where the data set knows it, box; and what was
        taken out of each video. A video that cannot be read has no samples.

    Raises:
        DatasetError: the data set's own boxes cannot be read.
        InputError: as :func:`extract_frames`; or ``out`` cannot be made.
    """
    names = {sample.path: sample for samples in scan.folds.values() for sample in samples}
    find = adapter.video_boxes
    known = {name: find(scan.root, sample) if find else {} for name, sample in names.items()}
    base = scan.root.resolve()
    videos = extract_frames(list(names), base, out, count=count, rate=rate, jobs=jobs, progress=progress)
    folds = {
        fold: [
            replace(s, path=videos[s.path].image(index), video=s.path, frame=index, box=known[s.path].get(index))
            for s in samples
            for index, _ in videos[s.path].frames
        ]
        for fold, samples in scan.folds.items()
    }
    notes = list(scan.notes)
    if find:
        boxes = {sample.path: sample.box for samples in folds.values() for sample in samples}
        given = sum(box is not None for box in boxes.values())
        notes.append(f"{given} of {len(boxes)} frames have a box from the data set's own face files")
    return Scan(out, folds, scan.skipped, notes), videos


def unreadable_videos(videos: Mapping[str, ExtractedVideo]) -> list[tuple[str, str]]:
    """(name, why) for each video that gave nothing."""
    return [(name, video.error) for name, video in videos.items() if video.error is not None]


def extract_frames(
    names: Sequence[str],
    root: Path,
    out: Path,
    *,
    count: int | None = None,
    rate: float | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> dict[str, ExtractedVideo]:
    """Write frames of each video to ``out``/frames/<video without suffix>/: ``count``, or ``rate`` per second.

    A video whose frames are there already, from the same file and for the same choice, is not read again: a run that
    was stopped goes on where it was. Files are never removed.

    Args:
        names: Videos, relative to ``root``, forward slashes.
        root: The data set's folder.
        out: The output folder.
        count: Frames per video, at least 1, evenly over its time; a shorter video gives all that it has.
        rate: Instead, frames per second of the video's time, above 0.
        jobs: Videos read at a time (at least 1); None takes one per processor.
        progress: Show a progress bar on stderr.

    Returns:
        The result per name, in the order given. A video that cannot be read is there with its ``error``.

    Raises:
        InputError: count or jobs below 1, rate not above 0, not one of count and rate, or ``out`` cannot be made.
        RunError: an image cannot be written.
    """
    check_choice(count, rate)
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs must be at least 1, got {jobs}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make output folder {out}: {error.strerror or error}") from error
    jobs = min(jobs or available_cpus(), max(len(names), 1))
    # Videos side by side, one thread each; what is left over helps decoding.
    threads = max(1, available_cpus() // jobs)
    choice: dict[str, Any] = {"count": count} if count is not None else {"rate": rate}
    extract = partial(_extract, root=root, out=out, choice=choice, threads=threads)
    folders = _folders(names)
    found: dict[str, ExtractedVideo] = {}
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task("taking frames", total=len(folders))
        results = map_ahead(extract, folders.items(), ahead=2 * jobs, threads=jobs)
        for name, result in zip(folders, results, strict=True):
            found[name] = result
            bar.advance(task)
    return found


def check_choice(count: int | None, rate: float | None) -> None:
    """Raise InputError unless exactly one is given, and in its range."""
    if (count is None) == (rate is None):
        got = f"{count} and {rate:g}" if count is not None and rate is not None else "neither"
        raise InputError(f"expected either frames per video or frames per second, got {got}")
    if count is not None and count < 1:
        raise InputError(f"frames per video: expected at least 1, got {count}")
    if rate is not None and not 0 < rate < math.inf:
        raise InputError(f"frames per second: expected a number above 0, got {rate:g}")


def _folders(names: Sequence[str]) -> dict[str, str]:
    """Video -> folder of its frames; ``a.avi`` beside ``a.mov`` keep their suffixes.

    >>> _folders(["x/a.avi", "x/b.avi", "x/b.mov"])
    {'x/a.avi': 'frames/x/a', 'x/b.avi': 'frames/x/b.avi', 'x/b.mov': 'frames/x/b.mov'}
    """
    stems = {name: PurePosixPath(name).with_suffix("").as_posix() for name in names}
    shared = Counter(stem.lower() for stem in stems.values())
    return {name: f"frames/{stem if shared[stem.lower()] == 1 else name}" for name, stem in stems.items()}


def _extract(
    item: tuple[str, str], *, root: Path, out: Path, choice: Mapping[str, Any], threads: int
) -> ExtractedVideo:
    name, folder = item
    try:
        status = (root / name).stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return ExtractedVideo(folder, error=f"{root / name}: cannot be read ({reason})")
    source = {**choice, "length": status.st_size, "mtime_ns": status.st_mtime_ns}
    done = _read_record(out, folder, source)
    if done is not None:
        return done
    result = ExtractedVideo(folder)
    frames: list[tuple[int, float]] = []
    try:
        video = read_video(root / name, **choice, threads=threads)
        for frame in video:
            write_image(out / result.image(frame.index), frame.image, quality=_QUALITY)
            frames.append((frame.index, round(frame.seconds, 6)))
    except VideoError as error:
        return ExtractedVideo(folder, error=str(error))
    result = ExtractedVideo(folder, tuple(frames), video.note)
    record = {**source, "frames": result.frames, "note": result.note}
    write_text(out / folder / _RECORD, json.dumps(record) + "\n")
    return result


def _read_record(out: Path, folder: str, source: Mapping[str, float]) -> ExtractedVideo | None:
    """What an earlier run took out of this very file; None where it must be read (again)."""
    try:
        record = json.loads((out / folder / _RECORD).read_text(encoding="utf-8"))
        done = ExtractedVideo(folder, tuple((int(i), float(s)) for i, s in record["frames"]), record["note"])
        same = all(record[key] == value for key, value in source.items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return done if same and all((out / done.image(index)).is_file() for index, _ in done.frames) else None
