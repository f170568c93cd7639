"""The choice of frames of a video by their display times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["by_rate", "evenly"]


def evenly(stamps: NDArray[np.int64], end: int, count: int) -> NDArray[np.int64]:
    """Indexes of ``count`` different frames, at even intervals from the first display time to ``end``.

    A video with fewer frames gives all of its frames.

    Args:
        stamps: Display times of the frames, sorted, in any unit.
        end: End of the display of the last frame, in the same unit.
        count: Number of frames, at least 1.

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
    # Each index is larger than the one before, and leaves enough frames for the rest.
    steps = np.arange(count)
    distinct = np.maximum.accumulate(shown - steps) + steps
    return np.minimum(distinct, frames - count + steps).astype(np.int64)


def by_rate(stamps: NDArray[np.int64], end: int, step: float) -> NDArray[np.int64]:
    """Indexes of the frames that are displayed at every ``step`` of time, from the first frame; no frame occurs twice.

    Args:
        stamps: Display times of the frames, sorted, in any unit.
        end: End of the display of the last frame, in the same unit.
        step: Time between two frames, in the same unit, above 0.

    >>> by_rate(np.arange(10), 10, 4.0).tolist()
    [0, 4, 8]
    """
    # A frame is displayed at a step if more steps come before the end of its display than before the start.
    edges = np.append(stamps, max(end, int(stamps[-1]) + 1)) - stamps[0]
    ticks = np.ceil(edges / step - 1e-9)
    return np.flatnonzero(np.diff(ticks) > 0).astype(np.int64)
