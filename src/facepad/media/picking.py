"""Which frames of a video to take, by their times of display."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["by_rate", "evenly"]


def evenly(stamps: NDArray[np.int64], end: int, count: int) -> NDArray[np.int64]:
    """Indexes of ``count`` different frames (all when there are fewer), evenly over the time from the first to ``end``.

    Args:
        stamps: Times of display, sorted, in any unit.
        end: When the last frame's display ends.
        count: How many, at least 1.

    >>> evenly(np.arange(10), 10, 5).tolist()
    [1, 3, 5, 7, 9]
    >>> evenly(np.array([0, 1, 2, 3, 100]), 104, 3).tolist()
    [2, 3, 4]
    """
    frames = len(stamps)
    if count >= frames:
        return np.arange(frames, dtype=np.int64)
    middles = stamps[0] + (np.arange(count) + 0.5) * ((end - int(stamps[0])) / count)
    shown = np.searchsorted(stamps, middles, side="right") - 1
    # No frame is taken twice, and none so late that too few are left for the rest.
    steps = np.arange(count)
    distinct = np.maximum.accumulate(shown - steps) + steps
    return np.minimum(distinct, frames - count + steps).astype(np.int64)


def by_rate(stamps: NDArray[np.int64], end: int, step: float) -> NDArray[np.int64]:
    """Indexes of the frames that are shown every ``step`` from the first one on, none twice.

    Args:
        stamps: Times of display, sorted, in any unit.
        end: When the last frame's display ends.
        step: Time between two frames, in the same unit, above 0.

    >>> by_rate(np.arange(10), 10, 4.0).tolist()
    [0, 4, 8]
    """
    # Each frame's span holds a tick when the number of ticks before its end is higher than before its start.
    edges = np.append(stamps, max(end, int(stamps[-1]) + 1)) - stamps[0]
    ticks = np.ceil(edges / step - 1e-9)
    return np.flatnonzero(np.diff(ticks) > 0).astype(np.int64)
