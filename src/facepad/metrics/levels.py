"""From frames to videos: the scores of one video's frames aggregated into one record."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from facepad.errors import MetricError, ScoresError, unknown_choice
from facepad.metrics.notes import Note, NoteKind
from facepad.types import Aggregation, AttackType, Label, ScoreRecord, ScoreStatus, Split

__all__ = ["AGGREGATIONS", "Aggregation", "check_videos", "level_notes", "level_words", "shown_frames", "to_videos"]


def _mean(ascending: Sequence[float]) -> float:
    # Division before the sum avoids overflow of huge scores. fsum makes the order of frames irrelevant. The limits make
    # frames of one score give exactly that score.
    mean = math.fsum(score / len(ascending) for score in ascending)
    return min(max(mean, ascending[0]), ascending[-1])


def _median(ascending: Sequence[float]) -> float:
    return _mean(ascending[(len(ascending) - 1) // 2 : len(ascending) // 2 + 1])


def _min(ascending: Sequence[float]) -> float:
    return ascending[0]


AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {"mean": _mean, "median": _median, "min": _min}
"""How the scores of a video's frames, in ascending order, become one."""

_Key = tuple[Split | None, str, str]


class _OfVideo(Protocol):
    """The attributes that a sample and a score record share."""

    @property
    def subject(self) -> str: ...
    @property
    def video(self) -> str | None: ...
    @property
    def label(self) -> Label: ...
    @property
    def attack_type(self) -> AttackType | None: ...
    @property
    def split(self) -> Split | None: ...


_Item = TypeVar("_Item", bound=_OfVideo)


def _key(item: _OfVideo) -> _Key | None:
    """A video is one name of one subject in one split, as in intervals by video; None for a single image."""
    return None if item.video is None else (item.split, item.subject, item.video)


def _videos(items: Iterable[_Item]) -> list[list[_Item]]:
    """Items by video, in the order in which the videos first occur; a single image is a video of its own."""
    videos: dict[_Key | int, list[_Item]] = {}
    for place, item in enumerate(items):
        videos.setdefault(_key(item) or place, []).append(item)
    return list(videos.values())


def check_videos(items: Iterable[_OfVideo], how: Aggregation = "mean") -> None:
    """Refuse samples or records whose videos cannot be aggregated.

    Args:
        items: Samples or score records.
        how: As for `to_videos`.

    Raises:
        ScoresError: one video holds frames of both classes, or of several instruments.
        MetricError: an unknown aggregation.
    """
    if how not in AGGREGATIONS:
        raise MetricError(unknown_choice("aggregation", how, AGGREGATIONS))
    for frames in _videos(items):
        kinds = Counter(str(frame.attack_type or frame.label) for frame in frames)
        if len(kinds) > 1:
            found = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
            raise ScoresError(
                f"expected one kind of presentation in a video, got {found} in video {frames[0].video!r} of subject "
                f"{frames[0].subject!r}; give each recording its own name in the column video"
            )


def to_videos(records: Sequence[ScoreRecord], how: Aggregation = "mean") -> list[ScoreRecord]:
    """One record per video: its frames' scores aggregated.

    Frames without a score are left out of the aggregation. A video without any score keeps a status: ``no_face`` if
    any of its frames has it, else ``unreadable``, else ``low_quality``. A record that names no video stays unchanged.

    Args:
        records: Of frames; those of one (split, subject, video) are one video.
        how: ``mean``, ``median`` or ``min`` (the least live frame decides).

    Returns:
        Records in the order in which the videos first occur. The path of a video's record is the video's name, with the
        subject before it where several subjects have a video of that name; its frame is None.

    Raises:
        ScoresError: one video holds frames of both classes, or of several instruments.
        MetricError: an unknown aggregation.

    >>> frames = [ScoreRecord("a.png", "anna", "clip", 0, Label.BONA_FIDE, None, None, ScoreStatus.SCORED, 0.5),
    ...           ScoreRecord("b.png", "anna", "clip", 1, Label.BONA_FIDE, None, None, ScoreStatus.SCORED, 1.0)]
    >>> [(video.path, video.score) for video in to_videos(frames)]
    [('clip', 0.75)]
    """
    check_videos(records, how)
    shared = _shared_names(records)
    return [frames[0] if frames[0].video is None else _aggregated(frames, how, shared) for frames in _videos(records)]


def _shared_names(records: Iterable[ScoreRecord]) -> set[str]:
    """Video names that several subjects have."""
    pairs = {(record.video, record.subject) for record in records if record.video is not None}
    counts = Counter(video for video, _ in pairs)
    return {video for video, n in counts.items() if n > 1}


def _aggregated(frames: Sequence[ScoreRecord], how: Aggregation, shared: set[str]) -> ScoreRecord:
    first = frames[0]
    assert first.video is not None
    path = f"{first.subject}/{first.video}" if first.video in shared else first.video
    scores = sorted(frame.score for frame in frames if frame.score is not None)
    if scores:
        return replace(first, path=path, frame=None, status=ScoreStatus.SCORED, score=AGGREGATIONS[how](scores))
    found = {frame.status for frame in frames}
    return replace(first, path=path, frame=None, status=next(status for status in ScoreStatus if status in found))


def shown_frames(records: Sequence[ScoreRecord], how: Aggregation = "mean") -> dict[str, str]:
    """The frame that stands for each video in pictures: the one whose score is nearest to the video's.

    Args:
        records: Of frames, as for `to_videos`.
        how: As for `to_videos`.

    Returns:
        Path of the video's record to path of the frame; single images and videos without a score are not in it.
    """
    shown = {}
    for video, frames in zip(to_videos(records, how), _videos(records), strict=True):
        if video.video is None or video.score is None:
            continue
        distances = [(abs(frame.score - video.score), frame.path) for frame in frames if frame.score is not None]
        shown[video.path] = min(distances)[1]
    return shown


def level_words(aggregation: Aggregation | None) -> str:
    """The measured things in words: frames, or videos with their aggregation.

    >>> level_words("median"), level_words(None)
    ('videos (median of their frames)', 'frames')
    """
    return "frames" if aggregation is None else f"videos ({aggregation} of their frames)"


def level_notes(records: Sequence[ScoreRecord]) -> list[Note]:
    """Notes for a reader of video figures on the frames behind them."""
    notes = []
    single = sum(record.video is None for record in records)
    if single:
        some = "all" if single == len(records) else f"{single} of {len(records)}"
        notes.append(Note(NoteKind.LEVEL, f"{some} records name no video and stand alone"))
    missing = [
        sum(frame.score is None for frame in frames)
        for frames in _videos(records)
        if any(frame.score is not None for frame in frames)
    ]
    if any(missing):
        n_videos = sum(map(bool, missing))
        text = f"{sum(missing)} frame(s) without a score are left out of the aggregation, in {n_videos} video(s)"
        notes.append(Note(NoteKind.UNSCORED, text))
    return notes
