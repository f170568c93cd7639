"""The output folder of a bulk run: Parquet parts written whole or not at all, one run at a time, and its summary."""

from __future__ import annotations

import io
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock, Timeout
from pyarrow import parquet

from facepad.errors import OutputExistsError, RunError
from facepad.files.disk import read_text, write_bytes, write_text, writing
from facepad.runtime.parallel import interrupt_deferred
from facepad.scale.items import Item
from facepad.scale.keys import KeySet
from facepad.scale.scoring import Scored

__all__ = ["SCHEMA", "SUMMARY", "Output", "open_output"]

SUMMARY = "_SUMMARY.json"
"""The name of the summary, in the output folder."""

_IDENTITY, _LOCK, _OWNER = "_RUN.json", "_LOCK", "_OWNER.json"
_ROWS = 8192  # of a part
_KINDS = 200  # of failures that are told apart
_SECONDS = 30.0  # after which a part is written with fewer: what a killed run loses

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("kind", pa.string()),
        ("path", pa.string()),
        ("subject", pa.string()),
        ("video", pa.string()),
        ("frame", pa.int64()),
        ("label", pa.string()),
        ("attack_type", pa.string()),
        ("split", pa.string()),
        ("status", pa.string()),
        ("score", pa.float64()),
        ("decision", pa.string()),
        ("threshold", pa.float64()),
        ("reasons", pa.list_(pa.string())),
        ("faces", pa.int32()),
        ("frames", pa.int32()),
        ("x1", pa.float64()),
        ("y1", pa.float64()),
        ("x2", pa.float64()),
        ("y2", pa.float64()),
        ("detail", pa.string()),
        ("model_sha256", pa.string()),
    ]
)
"""The columns of a part: those of scores.csv, then what a decision has beyond a score."""


class Output:
    """What a folder holds, and what is added to it; see `open_output`.

    Attributes:
        folder: Where it is.
        counts: Rows per status, of all runs.
        decisions: Rows per decision (``bona_fide``, ``attack``, ``undecided``), of all runs.
        failures: Rows per status and detail, of this run, as far as they have one.
        repeated: Items of this run's listing that named a key again.
        skipped: Items of this run's listing that an earlier run had scored.
    """

    def __init__(self, folder: Path, threshold: float | None, model_sha256: str) -> None:
        self.folder = folder
        self.counts: Counter[str] = Counter()
        self.decisions: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.repeated = self.skipped = 0
        self._fixed = {"threshold": threshold, "model_sha256": model_sha256}
        self._earlier, self._listed, self._written = KeySet(), KeySet(), KeySet()
        self._rows: list[Scored] = []
        self._since = time.monotonic()
        self._next = 0
        self._read_parts()

    @property
    def rows(self) -> int:
        """Items with a result, of all runs."""
        return self.counts.total()

    def missing(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items that have no result yet, each once."""
        for item in items:
            if item.key in self._earlier:
                self.skipped += 1
            elif self._listed.add(item.key):
                yield item
            else:
                self.repeated += 1

    def add(self, scored: Iterable[Scored]) -> None:
        """Keep results; a key that has one keeps that. Parts are written as they fill, or get old.

        Raises:
            RunError: the disk is full or the place cannot be written; see `flush`.
        """
        for one in scored:
            if one.item.key in self._earlier or not self._written.add(one.item.key):
                continue
            self._rows.append(one)
            self._count(one.status, one.decision, 1)
            if one.detail:
                kind = f"{one.status}: {one.detail}"
                few = kind in self.failures or len(self.failures) < _KINDS
                self.failures[kind if few else f"{one.status}: other reasons"] += 1
        if len(self._rows) >= _ROWS or time.monotonic() - self._since > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is kept as a part, whole or not at all.

        Raises:
            RunError: the disk is full or the place cannot be written; another run scores what is lost.
        """
        self._since = time.monotonic()
        if not self._rows:
            return
        with interrupt_deferred():
            self._write_part()

    def _write_part(self) -> None:
        rows, self._rows = self._rows, []
        table = pa.Table.from_pylist([_row(one) | self._fixed for one in rows], schema=SCHEMA)
        content = io.BytesIO()
        parquet.write_table(table, content, compression="zstd")
        write_bytes(self.folder / f"part-{self._next:06}.parquet", content.getbuffer())
        self._next += 1

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write _SUMMARY.json.

        Raises:
            RunError: the place cannot be written.
        """
        write_text(self.folder / SUMMARY, json.dumps(summary, indent=2) + "\n")

    def _count(self, status: str, decision: str | None, rows: int) -> None:
        self.counts[status] += rows
        self.decisions[decision or "undecided"] += rows

    def _read_parts(self) -> None:
        for stale in self.folder.glob(".part-*.parquet"):  # of a run that was killed while it wrote
            stale.unlink(missing_ok=True)
        for path in sorted(self.folder.glob("part-*.parquet")):
            self._read_part(path)
            self._next = max(self._next, int(path.stem.removeprefix("part-")) + 1)

    def _read_part(self, path: Path) -> None:
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(columns=["key", "status", "decision"]):
                    keys, statuses, decisions = (column.to_pylist() for column in batch.columns)
                    for key, status, decision in zip(keys, statuses, decisions, strict=True):
                        if not self._earlier.add(key):
                            raise OutputExistsError(f"{path} holds {key} a second time: remove one of the two parts")
                        self._count(status, decision, 1)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise OutputExistsError(
                f"{path} cannot be read ({str(error).splitlines()[0]}): remove it, and its inputs are scored again"
            ) from error


@contextmanager
def open_output(folder: Path, identity: Mapping[str, Any]) -> Iterator[Output]:
    """Take a new or empty folder, or one that a run with the same identity has begun; nobody else may meanwhile.

    Args:
        folder: Where the parts go.
        identity: What must be the same in every run on it: ``model``, ``model_sha256``, ``threshold``, ``source`` and
            other settings that change scores.

    Raises:
        OutputExistsError: the folder holds something else, scores of another identity, or another run is at it.
        RunError: the place cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"output {folder} is a file; expected a folder")
    if folder.is_dir() and not (folder / _IDENTITY).exists():
        others = [path.name for path in folder.iterdir() if path.name not in (_LOCK, _OWNER)]
        if others:
            raise OutputExistsError(f"output folder {folder} is not empty and holds no scores; choose another")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _claim(folder, identity)
        output = Output(folder, identity["threshold"], identity["model_sha256"])
        try:
            yield output
        finally:
            output.flush()


def _claim(folder: Path, identity: Mapping[str, Any]) -> None:
    path = folder / _IDENTITY
    if not path.exists():
        write_text(path, json.dumps(identity, indent=2) + "\n")
        return
    try:
        known = dict(json.loads(read_text(path)))
    except ValueError as error:
        raise OutputExistsError(f"{path} is not what facepad wrote; choose another output folder") from error
    for name, value in identity.items():
        if known.get(name) != value:
            raise OutputExistsError(
                f"{folder} holds scores of another {name.replace('_', ' ')}: {_brief(known.get(name))} there, "
                f"{_brief(value)} now; choose another output folder"
            )


def _brief(value: object) -> str:
    return f"{value[:16]}..." if isinstance(value, str) and len(value) == 64 else str(value)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system frees it when its holder dies, so that none is left behind."""
    lock = FileLock(folder / _LOCK, timeout=0)
    owner = folder / _OWNER
    try:
        lock.acquire()
    except Timeout:
        raise OutputExistsError(f"another run is writing to {folder}{_owner(owner)}; wait for it, or stop it") from None
    except (OSError, NotImplementedError) as error:
        raise RunError(f"cannot lock {folder}: {getattr(error, 'strerror', None) or error}") from error
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        write_text(owner, json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since}) + "\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()  # the file stays: another run may have opened it just now


def _owner(path: Path) -> str:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return f" (process {known['process']} on {known['host']}, since {known['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _row(one: Scored) -> dict[str, Any]:
    item, sample, box = one.item, one.item.sample, one.box
    known = {} if sample is None else {
        "subject": sample.subject,
        "video": sample.video,
        "frame": sample.frame,
        "label": sample.label.value,
        "attack_type": None if sample.attack_type is None else sample.attack_type.value,
        "split": None if sample.split is None else sample.split.value,
    }  # fmt: skip
    corners = {} if box is None else dict(zip(("x1", "y1", "x2", "y2"), box.xyxy, strict=True))
    return {
        "key": item.key,
        "kind": item.kind,
        "path": item.key if sample is None else sample.path,
        "status": one.status,
        "score": one.score,
        "decision": one.decision,
        "reasons": list(one.reasons),
        "faces": one.faces,
        "frames": one.frames,
        "detail": one.detail or None,
        **known,
        **corners,
    }
