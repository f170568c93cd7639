"""The progress of a bulk run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from facepad.files.endings import NotRead
from facepad.scale.scoring import BatchResult

__all__ = ["Progress"]

_SHOWN = 100  # Maximum number of unreached inputs that are listed.


@dataclass
class Progress:
    """Counts of one run, without the results of earlier runs.

    Attributes:
        done: Number of items with a result.
        missed: Number of items that could not be reached.
        unreached: Key and reason of the first unreached items.
        not_read: Number of files of a folder that are neither images nor videos, by ending.
        seconds: Seconds of each step, summed over all processes.
        peaks: Peak memory of each process, in bytes.
        started: Start of the run, on the clock of `time.perf_counter`.
        first: Time of the first result, on the same clock.
    """

    done: int = 0
    missed: int = 0
    unreached: list[tuple[str, str]] = field(default_factory=list)
    not_read: NotRead = field(default_factory=NotRead)
    seconds: dict[str, float] = field(default_factory=dict)
    peaks: dict[tuple[str, int], int] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)
    first: float | None = None

    def rate(self) -> float:
        """Items per second since the first result. The start of the processes, which happens once, is excluded."""
        since = time.perf_counter() - (self.started if self.first is None else self.first)
        return (self.done + self.missed) / max(since, 1.0)

    def add(self, result: BatchResult) -> None:
        """Count the result of a batch."""
        self.first = self.first or time.perf_counter()
        self.done += len(result.items)
        self.missed += len(result.unreached)
        self.unreached += result.unreached[: _SHOWN - len(self.unreached)]
        for step, spent in result.seconds.items():
            self.seconds[step] = self.seconds.get(step, 0.0) + spent
        if result.peak:
            self.peaks[result.process] = max(result.peak, self.peaks.get(result.process, 0))
