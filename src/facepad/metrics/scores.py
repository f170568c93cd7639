"""Reading, writing and hashing of scores files (scores.csv)."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facepad.errors import ScoresError, unknown_choice
from facepad.files.columns import (
    attribute_columns,
    attributes_of,
    check_extra_columns,
    column_name,
    misspelt_column,
    says_only_attack,
    with_species,
)
from facepad.files.disk import write_text
from facepad.files.numbers import parse_decimal, parse_whole
from facepad.files.opening import MaxBytes, read_bytes
from facepad.files.synonyms import normalise_name, parse_attack_type, parse_label, parse_split
from facepad.files.tables import NotCsvError, csv_lines
from facepad.metrics.bob import (
    BOB_CSV_COLUMNS,
    bob_columns,
    failure_notes,
    free_names_note,
    from_bob_row,
    parse_bob,
)
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

__all__ = ["SCORE_COLUMNS", "ScoreFile", "csv_text", "is_line_name", "read_scores", "scores_sha256", "write_scores"]

SCORE_COLUMNS = ("path", "subject", "video", "frame", "label", "attack_type", "split", "status", "score")
"""The columns of a scores file, in the order in which they are written. Columns of attributes follow."""

_KNOWN = frozenset(SCORE_COLUMNS)
_COLUMN_NAMES = _KNOWN | BOB_CSV_COLUMNS.keys()
_STATUSES = tuple(status.value for status in ScoreStatus)
_IDENTITY = ("path", "subject", "video")
_LINE = "line "
_BOB_LABEL = "is_bonafide"
_NO_INSTRUMENT = ("", "-", "none", "na", "n/a")


@dataclass(frozen=True, slots=True)
class ScoreFile:
    """The content of a scores file.

    Attributes:
        records: One record per line, in the order of the file.
        format: ``scores.csv``, ``bob CSV``, ``bob 4-column`` or ``bob 5-column``.
        notes: Notes on lines that were interpreted.
    """

    records: tuple[ScoreRecord, ...]
    format: str
    notes: tuple[str, ...] = ()


def read_scores(path: Path) -> ScoreFile:
    """Read a scores file: facepad's CSV, bob's CSV, or bob's files with 4 or 5 columns. The first line decides.

    Only the CSV columns ``score`` and ``label`` (bob: ``is_bonafide``) are required. Further columns are the records'
    attributes. Columns without a name, such as the row numbers that pandas writes, are left out. An ``attack_type``
    that names no known instrument is the name of a PAI species (`ScoreRecord.species`).

    Raises:
        ScoresError: the file cannot be read, is empty or has an invalid format. For an invalid line, the error message
            holds the line number.
    """
    path = Path(path)
    try:
        text = read_bytes(path, MaxBytes.TABLE).decode("utf-8-sig")
    except OSError as error:
        raise ScoresError(f"cannot read scores file {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ScoresError(f"{path} is not a text file in UTF-8 (byte {error.start})") from error
    first = next((line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    columns = bob_columns(first)
    if columns is not None:
        records, notes = parse_bob(enumerate(text.splitlines(), start=1), str(path))
        kind = f"bob {columns}-column"
    else:
        records, notes, kind = _parse_csv(text, str(path))
    if not records:
        raise ScoresError(f"{path} holds no scores; expected a header {','.join(SCORE_COLUMNS)} and lines below it")
    repeated = len(records) - len({(r.path, r.video, r.frame) for r in records})
    if repeated:
        notes.append(f"{repeated} line(s) repeat the path and frame of another line; every line is counted")
    return ScoreFile(tuple(records), kind, tuple(notes))


def is_line_name(path: str) -> bool:
    """Whether `read_scores` made the path of a record from the number of the line, because the file names no path.

    >>> is_line_name("line 12"), is_line_name("line 12.png")
    (True, False)
    """
    return path.startswith(_LINE) and path.removeprefix(_LINE).isdigit()


def _parse_csv(text: str, name: str) -> tuple[list[ScoreRecord], list[str], str]:
    """Return the records, the notes and the format."""
    records: list[ScoreRecord] = []
    free_names: set[str] = set()
    words: dict[Label, str] = {}
    fields: Mapping[str, str] = {}
    bob = False
    for line, row in _csv_rows(text, name):
        bob = _BOB_LABEL in row
        try:
            fields = from_bob_row(row) if bob else row
            records.append(_csv_record(fields, line, free_names))
            _refuse_other_word(fields["label"], records[-1].label, words)
        except (ScoresError, ValueError) as error:
            raise ScoresError(f"{name}, line {line}: {error}") from None
    notes = failure_notes(records) if bob else []
    if free_names:
        notes.append(free_names_note(free_names))
    return records, [*notes, *_misspelt_notes(fields.keys())], "bob CSV" if bob else "scores.csv"


def _refuse_other_word(text: str, label: Label, words: dict[Label, str]) -> None:
    """Refuse a second word for a label, because lines of several systems may differ in the polarity of their scores."""
    word = normalise_name(text)
    first = words.setdefault(label, word)
    if word.replace("_", "") != first.replace("_", ""):
        raise ScoresError(
            f"expected one word for {label} in the whole file, got {text!r} after {first!r}: does the file mix the "
            "scores of several systems?"
        )


def _misspelt_notes(header: Collection[str]) -> Iterator[str]:
    for column in header:
        if column not in _KNOWN and (meant := misspelt_column(column, header, SCORE_COLUMNS)):
            yield f"column {column!r} is kept as an attribute (did you mean {meant!r}?)"


def _csv_rows(text: str, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    header: list[str] | None = None
    try:
        for line, row in csv_lines(io.StringIO(text, newline=""), _COLUMN_NAMES):
            if not any(field.strip() for field in row):
                continue
            if header is None:
                header = [column_name(field) for field in row]
                _check_header([column for column in header if column], name)
            elif len(row) != len(header):
                raise ScoresError(f"{name}, line {line}: expected {len(header)} fields, got {len(row)}")
            else:
                # Paths and names keep their spaces, because a record must not change when it is written and read.
                pairs = zip(header, row, strict=True)
                yield line, {key: text if key in _IDENTITY else text.strip() for key, text in pairs if key}
    except NotCsvError as error:
        raise ScoresError(f"{name}, line {error.line}: {error}") from error


def _check_header(header: Sequence[str], name: str) -> None:
    missing = [column for column in (_BOB_LABEL if _BOB_LABEL in header else "label", "score") if column not in header]
    twice = len(set(header)) != len(header) or {_BOB_LABEL, "label"} <= set(header)
    if missing or twice:
        wrong = f"no column {' and '.join(missing)}" if missing else "a column twice"
        raise ScoresError(
            f"{name}: expected a header like {','.join(SCORE_COLUMNS)} (label and score at least) "
            f"or one of bob's formats; got {wrong} in {','.join(header)[:120]!r}"
        )
    try:
        check_extra_columns(header, SCORE_COLUMNS)
    except ValueError as error:
        raise ScoresError(f"{name}: {error}") from None


def _csv_record(row: Mapping[str, str], line: int, free_names: set[str]) -> ScoreRecord:
    label = parse_label(row["label"])
    if label is None:
        raise ScoresError(
            f"unknown label {row['label']!r}; expected a word: bona_fide, live, real, genuine, "
            "or attack, spoof, fake, imposter"
        )
    split = parse_split(row.get("split", ""))
    if split is None and row.get("split"):
        raise ScoresError(unknown_choice("split", row["split"], [value.value for value in Split]))
    status, score = _parse_status_and_score(row)
    attack_type, species = _parse_instrument(row.get("attack_type", ""), label)
    if species is not None:
        free_names.add(species)
    return ScoreRecord(
        path=row.get("path") or f"{_LINE}{line}",
        subject=row.get("subject", ""),
        video=row.get("video") or None,
        frame=_parse_frame(row.get("frame", "")),
        label=label,
        attack_type=attack_type,
        split=split,
        status=status,
        score=score,
        attributes=with_species(attributes_of(row, _KNOWN), label, species),
    )


def _parse_instrument(text: str, label: Label) -> tuple[AttackType | None, str | None]:
    """The type of an instrument, and the text as the name of a PAI species if it names no known instrument."""
    empty = text.lower() in _NO_INSTRUMENT
    if label is Label.BONA_FIDE:
        if not empty and parse_label(text) is not Label.BONA_FIDE:
            raise ScoresError(f"a bona fide line has no attack_type, got {text!r}")
        return None, None
    instrument = AttackType.UNKNOWN if empty or says_only_attack(text) else parse_attack_type(text)
    return (AttackType.UNKNOWN, text) if instrument is None else (instrument, None)


def _parse_frame(text: str) -> int | None:
    frame = parse_whole(text)
    if text and frame is None:
        raise ScoresError(f"expected a whole number as frame, at least 0, got {text!r}")
    return frame


def _parse_status_and_score(row: Mapping[str, str]) -> tuple[ScoreStatus, float | None]:
    text, word = row["score"], row.get("status", "").lower() or ScoreStatus.SCORED.value
    if word not in _STATUSES:
        raise ScoresError(unknown_choice("status", word, _STATUSES))
    status = ScoreStatus(word)
    if status is not ScoreStatus.SCORED:
        if text:
            raise ScoresError(f"status {status} needs an empty score, got {text!r}")
        return status, None
    score = parse_decimal(text)
    if score is None:
        raise ScoresError(
            f"expected a finite number as score, such as 0.5 or 1e-3 (or a status such as no_face), got {text!r}"
        )
    return status, score


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """The lines of a CSV file; `read_scores` reads the same fields from them."""
    # Not csv.writer: csv.writer does not quote a single carriage return, and csv.reader would end the line there.
    return "".join(",".join(map(_quoted, row)) + "\n" for row in rows)


def _quoted(field: str) -> str:
    if any(character in field for character in ',"\r\n'):
        return '"' + field.replace('"', '""') + '"'
    return field


def _extra_columns(records: Iterable[ScoreRecord]) -> list[str]:
    try:
        return attribute_columns(records, SCORE_COLUMNS)
    except ValueError as error:
        raise ScoresError(str(error)) from None


def _csv_fields(record: ScoreRecord, extra: Sequence[str]) -> tuple[str, ...]:
    values = dict(record.attributes)
    return (
        record.path,
        record.subject,
        record.video or "",
        "" if record.frame is None else str(record.frame),
        record.label.value,
        "" if record.attack_type is None else record.attack_type.value,
        "" if record.split is None else record.split.value,
        record.status.value,
        "" if record.score is None else repr(float(record.score)),
        *(values.get(column, "") for column in extra),
    )


def write_scores(path: Path, records: Iterable[ScoreRecord]) -> None:
    """Write records as scores.csv, atomically. `read_scores` reads the same records from the file.

    Raises:
        ScoresError: a score is not a finite number, or an attribute has the name of a column.
        RunError: the file cannot be written.
    """
    records = list(records)
    for record in records:
        if record.score is not None and not math.isfinite(record.score):
            raise ScoresError(f"{record.path}: expected a finite score, got {record.score}")
    extra = _extra_columns(records)
    lines = (_csv_fields(record, extra) for record in records)
    write_text(Path(path), csv_text([(*SCORE_COLUMNS, *extra), *lines]))


def scores_sha256(records: Iterable[ScoreRecord]) -> str:
    """Return the SHA-256 of the sorted lines of scores.csv; it does not depend on the order of the records.

    With attributes, a line with their names comes first.
    """
    records = list(records)
    extra = _extra_columns(records)
    lines = sorted(_csv_fields(record, extra) for record in records)
    return hashlib.sha256(csv_text([extra, *lines] if extra else lines).encode()).hexdigest()
