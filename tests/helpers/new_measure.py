"""A measure that facepad does not have, as a new row of the table of measures."""

from __future__ import annotations

import pytest

from facepad.metrics import MEASURES, Basis, Measure, measures
from facepad.metrics.counts import Mean


def add_measure(monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Add the row until the end of the test; it counts like HTER."""
    row = Measure(
        key="balanced_error",
        name="Balanced",
        title="balanced error of the whole",
        meaning="mean of wrong acceptances and wrong rejections",
        basis=Basis.THRESHOLD,
        rate=Mean(measures.FAR, measures.BPCER),
        headline="all in one",
        compared="Balanced error",
    )
    monkeypatch.setattr(measures, "MEASURES", (*MEASURES, row))
    return row
