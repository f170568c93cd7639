"""The decisions of a comparison subsystem: read from the column ``match``, or from a second scores file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from facepad.errors import MetricError, ScoresError, number_of
from facepad.files.numbers import parse_decimal
from facepad.metrics.levels import Aggregation, to_videos
from facepad.metrics.notes import Note, NoteKind
from facepad.metrics.pairs import matched
from facepad.metrics.scores import is_line_name, read_scores
from facepad.types import ScoreRecord

__all__ = ["INTENT", "MATCH", "has_matches", "match_decisions", "with_matches"]

MATCH = "match"
"""The attribute that holds the decision of the comparison, or its score."""

INTENT = "intent"
"""The attribute that holds the intent of a presentation."""

#: A file uses one pair of words: the comparison accepted the presentation, or it did not.
_WORDS = {"1": True, "0": False, "yes": True, "no": False, "true": True, "false": False}
_PAIRS = (("1", "0"), ("yes", "no"), ("true", "false"))
#: The comparison has no result, and the system does not accept the presentation.
_NO_RESULT = "none"


def has_matches(records: Iterable[ScoreRecord]) -> bool:
    """Whether a record has the attribute ``match``."""
    return any(record.attribute(MATCH) for record in records)


def with_matches(
    records: Sequence[ScoreRecord], path: Path, aggregation: Aggregation | None = None
) -> tuple[list[ScoreRecord], list[Note]]:
    """Give records the attribute ``match``, and a missing attribute ``intent``, from a second scores file.

    The lines are joined by path and frame, and videos by subject and name (without subjects, by name). The value of
    ``match`` is this column of the file or, without the column, its score. A line with a status other than ``scored``
    has no result of the comparison.

    Args:
        records: The measured records. Their own attribute ``match`` is replaced.
        path: The second scores file.
        aggregation: The aggregation that made the records, if they are videos. The scores of the second file are
            aggregated alike.

    Returns:
        The records, and notes on the file.

    Raises:
        ScoresError: a file is invalid or names no paths, a presentation occurs twice, the labels or intents differ, or
            a record has no line.
    """
    named, others = list(records), list(read_scores(path).records)
    for lines, what in ((named, "the scores file"), (others, str(path))):
        if any(is_line_name(line.path) for line in lines):
            raise ScoresError(f"{what} needs a column path, by which the lines of two files are joined")
    of_column = has_matches(others)
    if aggregation:
        others = to_videos(others, aggregation)
        if all(line.subject for line in (*named, *others)):
            named, others = _named_by_subject(named), _named_by_subject(others)
    given = [_with(each, {MATCH: each.attribute(MATCH) if of_column else _score_text(each)}) for each in others]
    found = _lines_of(named, given, path)
    notes = []
    if unused := _unused(named, given, found):
        are = "is" if unused == 1 else "are"
        # The name of the file, not its path: a report that is made again in another folder must be the same.
        text = f"{path.name}: {number_of(unused, 'line')} {are} of no measured presentation"
        notes.append(Note(NoteKind.READING, text))
    return [_compared(record, line, path) for record, line in zip(records, found, strict=True)], notes


def _unused(named: Sequence[ScoreRecord], given: Sequence[ScoreRecord], found: Sequence[ScoreRecord]) -> int:
    """The number of lines of no record. Lines of a split that is not measured, such as dev, are not counted."""
    measured = {None, *(record.split for record in named)}
    return sum(line.split in measured for line in given) - sum(line.split in measured for line in found)


def _lines_of(named: Sequence[ScoreRecord], lines: Sequence[ScoreRecord], path: Path) -> list[ScoreRecord]:
    """The line of each record. Each record needs one line, and lines of other presentations are left over."""
    try:
        pairs = matched([_with(record, {MATCH: None, INTENT: None}) for record in named], lines)
    except ScoresError as error:
        raise ScoresError(f"{path} (B) does not fit the scores file (A): {error}") from None
    line_of = {(one.path, one.frame): other for one, other in pairs}
    missing = [record.path for record in named if (record.path, record.frame) not in line_of]
    if missing:
        have, others = "has" if len(missing) == 1 else "have", len(lines) - len(pairs)
        raise ScoresError(
            f"{path}: expected a line for each measured presentation ({len(named)}), {len(missing)} {have} none "
            f"(first: {missing[0]}), and {number_of(others, 'line')} {'is' if others == 1 else 'are'} of others"
        )
    return [line_of[record.path, record.frame] for record in named]


def _named_by_subject(lines: Sequence[ScoreRecord]) -> list[ScoreRecord]:
    """The lines, with a path of videos that does not depend on the other lines of the file."""
    return [line if line.video is None else replace(line, path=f"{line.subject}/{line.video}") for line in lines]


def _score_text(record: ScoreRecord) -> str:
    return _NO_RESULT if record.score is None else repr(record.score)


def _with(record: ScoreRecord, values: Mapping[str, str | None]) -> ScoreRecord:
    """The record with these values of attributes; an empty value removes the attribute."""
    merged: dict[str, str | None] = {**dict(record.attributes), **values}
    return replace(record, attributes=tuple(sorted((name, text) for name, text in merged.items() if text)))


def _compared(record: ScoreRecord, line: ScoreRecord, path: Path) -> ScoreRecord:
    """The record with the comparison of a line of the second file, and with the intent that one of them names."""
    own, other = record.attribute(INTENT), line.attribute(INTENT)
    if own and other and own.strip().lower() != other.strip().lower():
        raise ScoresError(f"{record.path}: expected one intent, got {own!r} in the scores file and {other!r} in {path}")
    return _with(record, {MATCH: line.attribute(MATCH), INTENT: own or other})


def match_decisions(records: Sequence[ScoreRecord], threshold: float | None = None) -> list[bool | None]:
    """Read the decision of the comparison on each record from its attribute ``match``.

    Args:
        records: The records.
        threshold: The lowest accepted score, if the attribute holds comparison scores. None reads decisions: 1 and 0,
            yes and no, or true and false.

    Returns:
        Whether the comparison accepted the presentation; None without a result.

    Raises:
        ScoresError: a value is neither a number nor a word, or the file mixes words.
        MetricError: the threshold is NaN or infinite.
    """
    if threshold is not None and not math.isfinite(threshold):
        raise MetricError(f"expected a finite number as the threshold of match, got {threshold}")
    texts = [(record.attribute(MATCH) or "").strip().lower() for record in records]
    values = [text for text in texts if text not in ("", _NO_RESULT)]
    if threshold is not None:
        return [_at_threshold(text, threshold) for text in texts]
    _check_words(values)
    return [None if text in ("", _NO_RESULT) else _WORDS[_word(text)] for text in texts]


def _at_threshold(text: str, threshold: float) -> bool | None:
    if text in ("", _NO_RESULT):
        return None
    score = parse_decimal(text)
    if score is None:
        raise ScoresError(f"expected comparison scores in match (a threshold of match is given), got {text!r}")
    return score >= threshold


def _word(text: str) -> str:
    """The word, with a whole number as its digit: a score of 1.0 is the decision 1."""
    number = parse_decimal(text)
    return text if number is None or number not in (0, 1) else f"{number:.0f}"


def _check_words(values: Iterable[str]) -> None:
    counts = Counter(map(_word, values))
    for word in counts:
        if word not in _WORDS:
            if parse_decimal(word) is not None:
                raise ScoresError(
                    f"match holds comparison scores such as {word}: name the lowest accepted score (--match-threshold)"
                )
            raise ScoresError(f"expected 1 and 0, yes and no, true and false, or none in match, got {word!r}")
    used = [pair for pair in _PAIRS if any(counts[word] for word in pair)]
    if len(used) > 1:
        found = ", ".join(f"{count} {word!r}" for word, count in sorted(counts.items()))
        raise ScoresError(f"expected one pair of words in match, got {found}: does the file mix several systems?")
