"""Aggregation of the scores of a video's frames into one record of the video."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from facepad.errors import MetricError, ScoresError, number_of, unknown_choice
from facepad.metrics.notes import Note, NoteKind
from facepad.metrics.times import TIME_COLUMNS
from facepad.types import Aggregation, Attributes, Label, Sample, ScoreRecord, ScoreStatus, Split

__all__ = [
    "AGGREGATIONS",
    "Aggregation",
    "check_videos",
    "level_notes",
    "level_words",
    "shown_frames",
    "to_videos",
    "with_shared_attributes",
]


def _mean(ascending: Sequence[float]) -> float:
    # Division before the sum avoids overflow of huge scores. fsum makes the order of frames irrelevant. The limits keep
    # the mean of equal scores equal to these scores.
    mean = math.fsum(score / len(ascending) for score in ascending)
    return min(max(mean, ascending[0]), ascending[-1])


def _median(ascending: Sequence[float]) -> float:
    return _mean(ascending[(len(ascending) - 1) // 2 : len(ascending) // 2 + 1])


def _min(ascending: Sequence[float]) -> float:
    return ascending[0]


AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {"mean": _mean, "median": _median, "min": _min}
"""Functions that aggregate the ascending scores of a video's frames into one score, by name."""

_VideoKey = tuple[Split | None, str, str]


class _HasVideo(Protocol):
    """The attributes that a sample and a score record share."""

    @property
    def subject(self) -> str: ...
    @property
    def video(self) -> str | None: ...
    @property
    def label(self) -> Label: ...
    @property
    def species(self) -> str | None: ...
    @property
    def split(self) -> Split | None: ...


_VideoItem = TypeVar("_VideoItem", bound=_HasVideo)


def _video_key(item: _HasVideo) -> _VideoKey | None:
    """Return the identity of the video: split, subject and name; None for a single image."""
    return None if item.video is None else (item.split, item.subject, item.video)


def _group_by_video(items: Iterable[_VideoItem]) -> list[list[_VideoItem]]:
    """Group items by video, in the order of first occurrence; a single image is a separate group."""
    videos: dict[_VideoKey | int, list[_VideoItem]] = {}
    for place, item in enumerate(items):
        videos.setdefault(_video_key(item) or place, []).append(item)
    return list(videos.values())


def check_videos(items: Iterable[_HasVideo], how: Aggregation = "mean") -> None:
    """Refuse samples or records whose videos cannot be aggregated.

    Args:
        items: Samples or score records.
        how: Name of the aggregation, as in `to_videos`.

    Raises:
        ScoresError: one video holds frames of both classes, or of several instruments.
        MetricError: the aggregation is unknown.
    """
    if how not in AGGREGATIONS:
        raise MetricError(unknown_choice("aggregation", how, AGGREGATIONS))
    for frames in _group_by_video(items):
        kinds = Counter(str(frame.species or frame.label) for frame in frames)
        if len(kinds) > 1:
            found = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
            raise ScoresError(
                f"expected one kind of presentation in a video, got {found} in video {frames[0].video!r} of subject "
                f"{frames[0].subject!r}; give each recording its own name in the column video"
            )


def to_videos(records: Sequence[ScoreRecord], how: Aggregation = "mean") -> list[ScoreRecord]:
    """Aggregate the scores of the frames of each video into one record.

    Frames without a score are left out of the aggregation. A video without any score has the status ``no_face`` if any
    frame has this status, else ``unreadable``, else ``low_quality``. A record that names no video stays unchanged.

    Args:
        records: Records of frames. Frames with the same split, subject and video name are one video.
        how: ``mean``, ``median`` or ``min`` (the frame with the lowest score decides).

    Returns:
        One record per video, in the order of first occurrence. The path of the record is the name of the video, or
        ``subject/video`` if several subjects have a video with this name. The frame of the record is None. A video
        keeps the attributes that all its frames share.

    Raises:
        ScoresError: one video holds frames of both classes, or of several instruments.
        MetricError: the aggregation is unknown.

    >>> frames = [ScoreRecord("a.png", "anna", "clip", 0, Label.BONA_FIDE, None, None, ScoreStatus.SCORED, 0.5),
    ...           ScoreRecord("b.png", "anna", "clip", 1, Label.BONA_FIDE, None, None, ScoreStatus.SCORED, 1.0)]
    >>> [(video.path, video.score) for video in to_videos(frames)]
    [('clip', 0.75)]
    """
    check_videos(records, how)
    shared = _shared_names(records)
    return [
        frames[0] if frames[0].video is None else _video_record(frames, how, shared)
        for frames in _group_by_video(records)
    ]


def _shared_names(records: Iterable[ScoreRecord]) -> set[str]:
    """Return the names of videos that more than one subject has."""
    pairs = {(record.video, record.subject) for record in records if record.video is not None}
    counts = Counter(video for video, _ in pairs)
    return {video for video, n in counts.items() if n > 1}


def _video_record(frames: Sequence[ScoreRecord], how: Aggregation, shared: set[str]) -> ScoreRecord:
    first = frames[0]
    assert first.video is not None
    path = f"{first.subject}/{first.video}" if first.video in shared else first.video
    whole = replace(first, path=path, frame=None, attributes=_shared_attributes(frames))
    scores = sorted(frame.score for frame in frames if frame.score is not None)
    if scores:
        return replace(whole, status=ScoreStatus.SCORED, score=AGGREGATIONS[how](scores))
    found = {frame.status for frame in frames}
    return replace(whole, status=next(status for status in ScoreStatus if status in found))


def with_shared_attributes(samples: Iterable[Sample]) -> list[Sample]:
    """Return one sample of each video, with the attributes that `to_videos` keeps, and each single image."""
    return [replace(frames[0], attributes=_shared_attributes(frames)) for frames in _group_by_video(samples)]


def _shared_attributes(frames: Sequence[Sample | ScoreRecord]) -> Attributes:
    """Return the attributes that have one value in all frames of a video."""
    if all(frame.attributes == frames[0].attributes for frame in frames):
        return frames[0].attributes
    shared = set(frames[0].attributes).intersection(*(frame.attributes for frame in frames))
    return tuple(sorted(shared))


def _disagreed(frames: Sequence[ScoreRecord]) -> set[str]:
    """Return the names of the attributes that some frames of a video have, but that the video does not keep."""
    kept = {name for name, _ in _shared_attributes(frames)}
    return {name for frame in frames for name, _ in frame.attributes} - kept


def shown_frames(records: Sequence[ScoreRecord], how: Aggregation = "mean") -> dict[str, str]:
    """Choose the frame of each video that a report shows: the frame with the score nearest to the video's score.

    Args:
        records: Records of frames, as in `to_videos`.
        how: Name of the aggregation, as in `to_videos`.

    Returns:
        Path of the video's record to path of the frame. Single images and videos without a score are left out.
    """
    shown = {}
    for video, frames in zip(to_videos(records, how), _group_by_video(records), strict=True):
        if video.video is None or video.score is None:
            continue
        distances = [(abs(frame.score - video.score), frame.path) for frame in frames if frame.score is not None]
        shown[video.path] = min(distances)[1]
    return shown


def level_words(aggregation: Aggregation | None) -> str:
    """Return the measured level as text: frames, or videos with their aggregation.

    >>> level_words("median"), level_words(None)
    ('videos (median of their frames)', 'frames')
    """
    return "frames" if aggregation is None else f"videos ({aggregation} of their frames)"


def level_notes(records: Sequence[ScoreRecord]) -> list[Note]:
    """Return notes on records without a video, on frames without a score, and on attributes that frames disagree on."""
    notes = []
    videos = [frames for frames in _group_by_video(records) if frames[0].video is not None]
    lost = Counter(name for frames in videos for name in _disagreed(frames) - TIME_COLUMNS.keys())
    if lost:
        names = ", ".join(f"{name} (in {number_of(n, 'video')})" for name, n in sorted(lost.items()))
        notes.append(Note(NoteKind.LEVEL, f"columns left out of videos whose frames disagree on them: {names}"))
    single = sum(record.video is None for record in records)
    if single:
        some = "all" if single == len(records) else f"{single} of {len(records)}"
        notes.append(Note(NoteKind.LEVEL, f"{some} records have no video, and each of them counts as one video"))
    missing = [
        sum(frame.score is None for frame in frames)
        for frames in _group_by_video(records)
        if any(frame.score is not None for frame in frames)
    ]
    if any(missing):
        n_videos = sum(map(bool, missing))
        some, are = number_of(sum(missing), "frame"), "is" if sum(missing) == 1 else "are"
        text = f"{some} without a score {are} left out of the aggregation, in {number_of(n_videos, 'video')}"
        notes.append(Note(NoteKind.UNSCORED, text))
    return notes
