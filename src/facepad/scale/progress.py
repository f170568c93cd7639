"""How far a bulk run is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from facepad.scale.scoring import BatchResult

__all__ = ["Progress"]

_SHOWN = 100  # names of inputs that were not reached


@dataclass
class Progress:
    """What this run has done so far.

    Attributes:
        done: Items with a result.
        missed: Items that could not be reached.
        unreached: Key and reason of the first of them.
        seconds: Of all processes, by step.
        peaks: Most memory of each process, in bytes.
        started: When it began, on the clock of `time.perf_counter`.
        first: When the first result came.
    """

    done: int = 0
    missed: int = 0
    unreached: list[tuple[str, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    peaks: dict[tuple[str, int], int] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)
    first: float | None = None

    def rate(self) -> float:
        """Items a second since the first result: what starting the processes takes is no forecast."""
        since = time.perf_counter() - (self.started if self.first is None else self.first)
        return (self.done + self.missed) / max(since, 1.0)

    def add(self, result: BatchResult) -> None:
        """Take in a result."""
        self.first = self.first or time.perf_counter()
        self.done += len(result.scored)
        self.missed += len(result.unreached)
        self.unreached += result.unreached[: _SHOWN - len(self.unreached)]
        for step, spent in result.seconds.items():
            self.seconds[step] = self.seconds.get(step, 0.0) + spent
        if result.peak:
            self.peaks[result.process] = max(result.peak, self.peaks.get(result.process, 0))
