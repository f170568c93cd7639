"""Decision times of a system, from a column of its scores file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from facepad.errors import ScoresError
from facepad.files.numbers import parse_decimal
from facepad.types import ScoreRecord

__all__ = ["TIME_COLUMNS", "DecisionTimes", "decision_times"]

TIME_COLUMNS = {"seconds": 1.0, "milliseconds": 0.001}
"""The columns that hold the time of a decision, and their units in seconds."""


@dataclass(frozen=True, slots=True)
class DecisionTimes:
    """The times of decisions.

    Attributes:
        p50: The median, in seconds.
        p95: The time that 95 % of the decisions do not exceed, in seconds.
        n: Number of lines with a time.
    """

    p50: float
    p95: float
    n: int

    def to_dict(self) -> dict[str, float | int]:
        """Return ``{p50, p95, n}``, the form in JSON."""
        return {"p50": self.p50, "p95": self.p95, "n": self.n}


def decision_times(records: Iterable[ScoreRecord]) -> DecisionTimes | None:
    """Summarise the attribute ``seconds`` or ``milliseconds`` of records. Records without a time are left out.

    Percentiles between two times are interpolated linearly.

    Returns:
        The times; None if no record has a time.

    Raises:
        ScoresError: a time is not a number of at least 0, or records have both attributes.
    """
    times: list[float] = []
    columns: set[str] = set()
    for record in records:
        for column, unit in TIME_COLUMNS.items():
            if (text := record.attribute(column)) is not None:
                columns.add(column)
                times.append(unit * _time(text, column, record.path))
    if len(columns) > 1:
        raise ScoresError(f"expected one column of times, got {' and '.join(sorted(columns))}")
    if not times:
        return None
    p50, p95 = np.quantile(times, [0.5, 0.95])
    return DecisionTimes(float(p50), float(p95), len(times))


def _time(text: str, column: str, path: str) -> float:
    time = parse_decimal(text)
    if time is None or time < 0:
        raise ScoresError(f"{path}: expected a number of at least 0 as {column}, got {text!r}")
    return time
