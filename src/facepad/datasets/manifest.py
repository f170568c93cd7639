"""The manifest contract: read, validate, write and hash the CSV that lists a data set's images."""

from __future__ import annotations

import csv
import hashlib
import io
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from facepad.errors import InputError, ManifestError, reason, unknown_choice
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
from facepad.files.synonyms import (
    ATTACK_TYPE_SYNONYMS,
    LABEL_SYNONYMS,
    SPLIT_SYNONYMS,
    normalise_name,
    parse_attack_type,
    similar_attack_type,
)
from facepad.files.tables import NotCsvError, csv_lines
from facepad.types import AttackType, Box, Label, Sample, ScoreRecord, Split

__all__ = [
    "COLUMNS",
    "iter_manifest",
    "manifest_hash",
    "manifest_text",
    "manifest_words",
    "read_manifest",
    "require_both_classes",
    "resolve",
    "why_unlisted",
    "write_manifest",
]

COLUMNS = ("path", "subject", "label", "attack_type", "split", "video", "frame", "x1", "y1", "x2", "y2")
"""The columns of a manifest, in the order in which they are written. Columns of attributes follow."""

_KNOWN = frozenset(COLUMNS)
_REQUIRED = ("path", "subject", "label")
_BOX = ("x1", "y1", "x2", "y2")
_DECIMALS = 2
_OF_SCORES = frozenset({"status", "score"})  # the scores of a data set have these columns beside the attributes

# Control characters would break lines; lone surrogates come from file names that are not Unicode.
_NO_TEXT = re.compile("[\x00-\x1f\ud800-\udfff]")
_Name = TypeVar("_Name", bound=StrEnum)


def read_manifest(path: Path) -> list[Sample]:
    """Read and validate a manifest; the samples keep the file's order.

    Columns are named in the first line, in any order; only ``path``, ``subject`` and ``label`` are required.
    Further columns are the samples' attributes (`Sample.attributes`).
    Labels, attack types and splits may use common synonyms ("live", "spoof", "devel"). Another word in
    ``attack_type`` is the name of a PAI species (`Sample.species`).

    Args:
        path: The CSV file, UTF-8.

    Returns:
        One sample per line, at least one sample. ``Sample.path`` is as written, relative to the manifest's folder.

    Raises:
        ManifestError: the file is missing or breaks the contract. The message names the file and the line.
    """
    path = Path(path)
    try:
        text = read_bytes(path, MaxBytes.TABLE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise ManifestError(f"cannot read manifest {path}: {reason(error)}") from error
    return _parse_text(text, str(path))


def iter_manifest(lines: Iterable[str], name: str) -> Iterator[Sample]:
    """The samples of a manifest one by one, for manifests larger than memory. Duplicate lines are not detected.

    Args:
        lines: Lines of the file, with line ends.
        name: Name of the file, for messages.

    Raises:
        ManifestError: as in :func:`read_manifest`, once the iteration reaches the faulty line.
    """
    try:
        for _, sample in _numbered_samples(lines, name):
            yield sample
    except UnicodeDecodeError as error:
        raise ManifestError(f"{name}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def write_manifest(path: Path, samples: Iterable[Sample]) -> None:
    """Write ``samples`` to ``path`` in the order given. The file is written atomically.

    The same samples always give the same bytes.

    Raises:
        ManifestError: the samples would give a manifest that :func:`read_manifest` refuses.
        RunError: the file cannot be written.
    """
    write_text(path, manifest_text(samples, str(path)))


def manifest_text(samples: Iterable[Sample], name: str = "manifest") -> str:
    """The canonical CSV text of ``samples``; box corners are rounded to 0.01 pixel.

    >>> print(manifest_text([Sample("a/1.png", "anna", Label.BONA_FIDE, box=Box(1, 2.5, 30, 31.126))]), end="")
    path,subject,label,attack_type,split,video,frame,x1,y1,x2,y2
    a/1.png,anna,bona_fide,,,,,1,2.5,30,31.13

    Raises:
        ManifestError: as in :func:`write_manifest`; the message names ``name`` instead of a file.
    """
    samples = list(samples)
    try:
        extra = attribute_columns(samples, COLUMNS)
    except ValueError as error:
        raise ManifestError(f"{name}: {error}") from None
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*COLUMNS, *extra])
    for sample in samples:
        values = dict(sample.attributes)
        box = [""] * 4 if sample.box is None else [_compact(value) for value in sample.box.xyxy]
        frame = "" if sample.frame is None else str(sample.frame)
        writer.writerow([sample.path, sample.subject, sample.label, sample.attack_type or "", sample.split or "",
                         sample.video or "", frame, *box, *(values.get(column, "") for column in extra)])  # fmt: skip
    text = stream.getvalue()
    # Nothing may be written that `read_manifest` would refuse.
    _parse_text(text, name)
    return text


def manifest_hash(path: Path) -> str:
    """SHA-256 (64 hex digits) of a manifest's canonical text. Column order, synonyms and line ends do not matter.

    The hash of a manifest that facepad wrote equals the hash of the file's bytes.

    Raises:
        ManifestError: as in :func:`read_manifest`.
    """
    return hashlib.sha256(manifest_text(read_manifest(path), str(path)).encode()).hexdigest()


def manifest_words(manifest: Path) -> str:
    """A short text for reports and messages: a manifest's folder, name and the first digits of the hash."""
    return f"{manifest.resolve().parent.name}/{manifest.name} (SHA-256 {manifest_hash(manifest)[:16]})"


def resolve(manifest_path: Path, sample: Sample) -> Path:
    """Path of a sample's file. The path in the sample is relative to the manifest's folder.

    >>> resolve(Path("sets/nuaa/manifest.csv"), Sample("../raw/1.jpg", "anna", Label.BONA_FIDE)).as_posix()
    'sets/nuaa/../raw/1.jpg'
    """
    return Path(manifest_path).parent / sample.path


def why_unlisted(path: str, subject: str = "-", *names: str | None) -> str:
    """The reason why a manifest cannot hold the names of a sample; empty if it can.

    >>> why_unlisted("live/anna/1.png", "anna"), why_unlisted("a\\nb.png")
    ('', 'a manifest cannot hold its name (a control character or backslash, spaces around it, or not Unicode)')
    """
    try:
        _path(path)
        _subject(subject)
        named = not any(_NO_TEXT.search(name) for name in (path, subject, *names) if name)
    except ValueError:
        named = False
    if named:
        return ""
    return "a manifest cannot hold its name (a control character or backslash, spaces around it, or not Unicode)"


def require_both_classes(
    samples: Iterable[Sample | ScoreRecord],
    what: str,
    *,
    where: str = "",
    noun: str = "images",
    error: type[InputError] = InputError,
) -> None:
    """Refuse samples of one class only.

    Args:
        samples: The samples, or their scores.
        what: The computation that needs both classes, as the subject of the error message.
        where: The place of the samples, such as ``split 'dev'``.
        noun: Name of the samples in the message, in the plural.
        error: The class of the error.

    Raises:
        InputError: a class has no sample. The message gives the number of samples of each class.

    Example:
        >>> require_both_classes([Sample("1.png", "anna", Label.BONA_FIDE)], "training", where="split 'dev'")
        Traceback (most recent call last):
        facepad.errors.InputError: training needs images of both classes in split 'dev', got 1 bona fide and 0 attack
    """
    counts = Counter(sample.label for sample in samples)
    if not all(counts[label] for label in Label):
        raise error(
            f"{what} needs {noun} of both classes{f' in {where}' if where else ''}, "
            f"got {counts[Label.BONA_FIDE]} bona fide and {counts[Label.ATTACK]} attack"
        )


def _compact(value: float) -> str:
    """A number with at most two decimals, because further digits of a box are rounding noise of the detector."""
    text = f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _parse_text(text: str, name: str) -> list[Sample]:
    samples: list[Sample] = []
    first_line: dict[tuple[str, int | None], int] = {}
    for line, sample in _numbered_samples(io.StringIO(text, newline=""), name):
        key = (posixpath.normpath(sample.path), sample.frame)
        if key in first_line:
            which = "" if sample.frame is None else f" frame {sample.frame}"
            raise ManifestError(f"{name}:{line}: {sample.path}{which} is already listed in line {first_line[key]}")
        first_line[key] = line
        samples.append(sample)
    if not samples:
        raise ManifestError(f"{name}: lists no samples")
    return samples


def _numbered_samples(lines: Iterable[str], name: str) -> Iterator[tuple[int, Sample]]:
    for line, row in _read_rows(lines, name):
        try:
            sample = _parse_row(row, line)
        except ValueError as error:
            raise ManifestError(f"{name}:{line}: {error}") from error
        yield line, sample


def _read_rows(lines: Iterable[str], name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields (column -> text) of each line below the header; blank lines are left out."""
    columns: list[str] | None = None
    try:
        for line, fields in csv_lines(lines, _KNOWN):
            if columns is None:
                columns = _check_columns(fields, f"{name}:{line}")
            elif fields:
                if len(fields) != len(columns):
                    raise ManifestError(
                        f"{name}:{line}: expected {len(columns)} fields as in the header, got {len(fields)}"
                    )
                yield line, dict(zip(columns, fields, strict=True))
    except NotCsvError as error:
        raise ManifestError(f"{name}:{error.line}: {error}") from error
    if columns is None:
        raise ManifestError(f"{name}: empty file; expected a header line: {','.join(COLUMNS)}")


def _check_columns(fields: list[str], where: str) -> list[str]:
    columns = [field if field in COLUMNS else column_name(field) for field in fields]
    try:
        check_extra_columns(columns, COLUMNS)
    except ValueError as error:
        raise ManifestError(f"{where}: {error}") from None
    for field, column in zip(fields, columns, strict=True):
        # Otherwise the values of a misspelt column would be attributes, and the column itself would be missing.
        if field not in COLUMNS and misspelt_column(column, fields, COLUMNS):
            raise ManifestError(f"{where}: {unknown_choice('column', field, COLUMNS)}")
        if column in _OF_SCORES:
            raise ManifestError(f"{where}: column {column!r} belongs to scores files; give it another name")
    if twice := next((column for column, n in Counter(columns).items() if n > 1), None):
        raise ManifestError(f"{where}: column {twice!r} appears twice")
    missing = [column for column in _REQUIRED if column not in columns]
    if missing:
        raise ManifestError(f"{where}: missing column {', '.join(missing)}; required: {', '.join(_REQUIRED)}")
    return columns


def _parse_row(row: dict[str, str], line: int) -> Sample:
    """One line as a sample. Raise a ValueError with the defect if the line is not valid."""
    for column, text in row.items():
        if _NO_TEXT.search(text):
            raise ValueError(f"{column} holds a control character or is not Unicode: {text!r}")
    label = _lookup("label", row["label"], LABEL_SYNONYMS, Label)
    attack_text = row.get("attack_type", "")
    if label is Label.BONA_FIDE and attack_text:
        raise ValueError(f"a bona fide sample has no attack_type, got {attack_text!r}")
    attack, species = _instrument(attack_text) if label is Label.ATTACK else (None, None)
    split_text = row.get("split", "")
    return Sample(
        path=_path(row["path"]),
        subject=_subject(row["subject"]),
        label=label,
        attack_type=attack,
        split=_lookup("split", split_text, SPLIT_SYNONYMS, Split) if split_text else None,
        video=row.get("video") or None,
        frame=_frame(row.get("frame", "")),
        box=_box([row.get(column, "") for column in _BOX]),
        attributes=with_species(attributes_of(row, _KNOWN), label, species),
        line=line,
    )


def _instrument(text: str) -> tuple[AttackType, str | None]:
    """The type of an instrument, and the text as the name of a PAI species if it is no word for a type."""
    word = text or "unknown"
    if says_only_attack(word):
        return AttackType.UNKNOWN, None
    known = ATTACK_TYPE_SYNONYMS.get(word) or ATTACK_TYPE_SYNONYMS.get(normalise_name(word))
    if known is not None:
        return known, None
    if similar_attack_type(text):
        choices = unknown_choice("attack_type", text, [member.value for member in AttackType])
        raise ValueError(f"{choices}, or the name of a species in the column species")
    return parse_attack_type(text) or AttackType.UNKNOWN, text


def _lookup(what: str, text: str, synonyms: Mapping[str, _Name], names: type[_Name]) -> _Name:
    found = synonyms.get(text) or synonyms.get(normalise_name(text))
    if found is None:
        raise ValueError(unknown_choice(what, text, [member.value for member in names]))
    return found


def _path(text: str) -> str:
    if not text:
        raise ValueError("empty path")
    if "\\" in text or text.startswith("/") or re.match(r"[A-Za-z]:", text):
        raise ValueError(f"path must be relative to the manifest's folder, with forward slashes, got {text!r}")
    return text


def _subject(text: str) -> str:
    if not text.strip() or text != text.strip():
        raise ValueError(f"subject must be a name without spaces around it, got {text!r}")
    return text


def _frame(text: str) -> int | None:
    if not text:
        return None
    frame = parse_whole(text)
    if frame is None:
        raise ValueError(f"frame must be a whole number from 0, got {text!r}")
    return frame


def _box(texts: list[str]) -> Box | None:
    if not any(texts):
        return None
    try:
        box = Box(*map(_number, texts))
        Box(*(round(value, _DECIMALS) for value in box.xyxy))  # a written manifest must be readable again
        return box
    except ValueError as error:
        raise ValueError(f"box must be four numbers with x1 < x2 and y1 < y2, or empty, got {texts}") from error


def _number(text: str) -> float:
    number = parse_decimal(text)
    if number is None:
        raise ValueError(f"expected a plain decimal number, got {text!r}")
    return number
