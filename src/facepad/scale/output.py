"""The output folder of a bulk run: Parquet parts, which are written atomically, and a summary."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from facepad.errors import OutputExistsError, first_line
from facepad.files.disk import read_text, write_bytes, write_json
from facepad.files.locks import exclusive
from facepad.runtime.parallel import interrupt_deferred
from facepad.scale.items import Item
from facepad.scale.keys import KeySet
from facepad.scale.scoring import ItemResult

__all__ = ["PART_ROWS", "PART_SECONDS", "SCHEMA", "SUMMARY", "Output", "open_output"]

SUMMARY = "_SUMMARY.json"
"""File name of the summary in the output folder."""

PART_ROWS = 8192
"""Number of rows in a full part."""

PART_SECONDS = 30.0
"""Maximum seconds until a part is written. A killed run loses at most the results of this time."""

_IDENTITY = "_RUN.json"
_FAILURE_KINDS = 200  # Maximum number of different texts by which failures are counted.

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
"""The columns of a part: first the columns of scores.csv, then the columns of a decision."""


class Output:
    """The rows of an output folder, to which a run adds rows. `open_output` creates the object.

    Attributes:
        folder: The output folder.
        counts: Number of rows per status, of all runs.
        decisions: Number of rows per decision (``bona_fide``, ``attack``, ``undecided``), of all runs.
        failures: Number of rows of this run per status and detail. Rows without a detail are not counted.
        repeated: Number of items that this run listed a second time.
        skipped: Number of items that an earlier run had scored.
    """

    def __init__(self, folder: Path, threshold: float | None, model_sha256: str) -> None:
        self.folder = folder
        self.counts: Counter[str] = Counter()
        self.decisions: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.repeated = self.skipped = 0
        self._fixed = {"threshold": threshold, "model_sha256": model_sha256}
        self._earlier, self._listed, self._written = KeySet(), KeySet(), KeySet()
        self._rows: list[ItemResult] = []
        self._since = time.monotonic()
        self._next_part = 0
        self._read_parts()

    @property
    def rows(self) -> int:
        """Number of items with a result, of all runs."""
        return self.counts.total()

    def missing(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items that have no result yet, without duplicates."""
        for item in items:
            if item.key in self._earlier:
                self.skipped += 1
            elif self._listed.add(item.key):
                yield item
            else:
                self.repeated += 1

    def add(self, results: Iterable[ItemResult]) -> None:
        """Add results. If a key has two results, the first result is kept. A part is written when it is full or old.

        Raises:
            RunError: The disk is full, or the folder cannot be written.
        """
        for one in results:
            if one.item.key in self._earlier or not self._written.add(one.item.key):
                continue
            self._rows.append(one)
            self._count(one.status, one.decision, 1)
            if one.detail:
                kind = f"{one.status}: {one.detail}"
                known = kind in self.failures or len(self.failures) < _FAILURE_KINDS
                self.failures[kind if known else f"{one.status}: other reasons"] += 1
        if len(self._rows) >= PART_ROWS or time.monotonic() - self._since > PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the rows in memory as a part, atomically.

        Raises:
            RunError: The disk is full, or the folder cannot be written. The next run scores the lost inputs again.
        """
        self._since = time.monotonic()
        if not self._rows:
            return
        with interrupt_deferred():
            self._write_part()

    def _write_part(self) -> None:
        rows, self._rows = self._rows, []
        table = pa.Table.from_pylist([_parquet_row(one) | self._fixed for one in rows], schema=SCHEMA)
        content = io.BytesIO()
        parquet.write_table(table, content, compression="zstd")
        write_bytes(self.folder / f"part-{self._next_part:06}.parquet", content.getvalue())
        self._next_part += 1

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write _SUMMARY.json.

        Raises:
            RunError: The folder cannot be written.
        """
        write_json(self.folder / SUMMARY, summary)

    def _count(self, status: str, decision: str | None, rows: int) -> None:
        self.counts[status] += rows
        self.decisions[decision or "undecided"] += rows

    def _read_parts(self) -> None:
        for stale in self.folder.glob(".part-*.parquet"):  # Left incomplete by a killed run.
            stale.unlink(missing_ok=True)
        for path in sorted(self.folder.glob("part-*.parquet")):
            self._read_part(path)
            self._next_part = max(self._next_part, int(path.stem.removeprefix("part-")) + 1)

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
                f"{path} cannot be read ({first_line(error)}): remove the file and run again"
            ) from error


@contextmanager
def open_output(folder: Path, identity: Mapping[str, Any]) -> Iterator[Output]:
    """Open and lock an output folder. The folder must be new, empty, or from a run with the same identity.

    Args:
        folder: The output folder.
        identity: The facts that must be the same in every run on the folder: ``model``, ``model_sha256``,
            ``threshold``, ``source`` and other settings that change scores.

    Raises:
        OutputExistsError: The folder has other content, or scores of another identity.
        BusyError: Another run is writing to it.
        InputError: The folder cannot be created or written.
    """
    folder = Path(folder)
    ours = (folder / _IDENTITY).exists() or not folder.is_dir()
    if not ours and any(not path.name.startswith(".lock") for path in folder.iterdir()):
        raise OutputExistsError(f"output folder {folder} is not empty and holds no scores; choose another")
    with exclusive(folder, doing="scoring"):
        _require_identity(folder, identity)
        output = Output(folder, identity["threshold"], identity["model_sha256"])
        try:
            yield output
        finally:
            output.flush()


def _require_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    path = folder / _IDENTITY
    if not path.exists():
        write_json(path, identity)
        return
    try:
        known = dict(json.loads(read_text(path)))
    except ValueError as error:
        raise OutputExistsError(f"{path} is not from facepad; choose another output folder") from error
    for name, value in identity.items():
        if known.get(name) != value:
            raise OutputExistsError(
                f"{folder} holds scores of another {name.replace('_', ' ')}: {_shortened(known.get(name))} there, "
                f"{_shortened(value)} now; choose another output folder"
            )


def _shortened(value: object) -> str:
    """The value as text. Only the start of a hash is shown."""
    return f"{value[:16]}..." if isinstance(value, str) and len(value) == 64 else str(value)


def _parquet_row(one: ItemResult) -> dict[str, Any]:
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
