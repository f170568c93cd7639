"""The rates at a fixed point of the curve, by the names that papers and standards give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facepad.metrics.curve_rates import Curve, curve_rates
from facepad.metrics.intervals import Rate
from facepad.metrics.measures import bpcer_at
from facepad.metrics.resampling import Resampling
from facepad.metrics.table import score_table
from facepad.types import ScoreRecord

__all__ = ["FIELD_MEASURES", "FieldMeasure", "field_rates"]

_DEFAULT_RESAMPLING = Resampling()


@dataclass(frozen=True, slots=True)
class FieldMeasure:
    """A rate at a fixed point of the curve.

    Attributes:
        key: Name of the measure in code and JSON.
        name: Name of the measure in papers and standards.
        meaning: Short definition of the measure.
        rate: Definition of the rate.
    """

    key: str
    name: str
    meaning: str
    rate: Curve


FIELD_MEASURES: tuple[FieldMeasure, ...] = (
    *(
        FieldMeasure(
            f"bpcer{n}", f"BPCER{n}", f"BPCER at the lowest threshold with APCER ≤ {100 / n:g} %", bpcer_at(1 / n)
        )
        for n in (10, 20, 100)
    ),
    FieldMeasure(
        "tpr_at_fpr_1",
        "TPR@FPR=1 %",
        "bona fide accepted at the lowest threshold that accepts at most 1 % of all attacks, instruments pooled",
        Curve(lambda points: points.tpr_at_fpr(0.01), "bona_fide"),
    ),
    FieldMeasure(
        "apcer_at_bpcer_1",
        "APCER@BPCER=1 %",
        "APCER of the worst instrument at the highest threshold with BPCER ≤ 1 %",
        Curve(lambda points: points.apcer_at_bpcer(0.01), "instrument"),
    ),
)
"""The measures, in the order of tables. BPCER10, BPCER20 and BPCER100 are names of ISO/IEC 30107-3."""


def field_rates(records: Sequence[ScoreRecord], resampling: Resampling = _DEFAULT_RESAMPLING) -> dict[str, Rate]:
    """Compute the rate of each of `FIELD_MEASURES` with its interval, by key.

    The rates describe the curve of these scores. None of them uses a threshold that was chosen before.

    Raises:
        MetricError: one class has no scores, or a record does not name its cluster.
    """
    table = score_table(records, resampling.cluster_of(records))
    rates = curve_rates(table, [measure.rate for measure in FIELD_MEASURES], resampling)
    return {measure.key: rate for measure, rate in zip(FIELD_MEASURES, rates, strict=True)}
