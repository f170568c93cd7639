"""The table of measures: a new measure is one row, which text, reports, comparisons and documentation then show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from facepad.metrics.counts import Mean, Rated, Share, Worst
from facepad.metrics.curve_rates import Curve
from facepad.metrics.ranking import OperatingPoints

__all__ = [
    "ACCURACY",
    "ACER",
    "APCER",
    "APCER_LIMITS",
    "APNRR",
    "BPCER",
    "BPNRR",
    "FAR",
    "HTER",
    "MEASURES",
    "PRECISION_RECALL",
    "Basis",
    "Measure",
    "bpcer_at",
    "measures_of",
]

APCER_LIMITS = (0.01, 0.05, 0.1)
"""The limits of APCER at which summaries give BPCER."""

# Each share counts (accepted, rejected, no response) of attacks, then of bona fide samples.
FAR = Share(((1, 0, 0), (0, 0, 0)), ((1, 1, 0), (0, 0, 0)))
"""Accepted attacks, pooled over instruments."""

BPCER = Share(((0, 0, 0), (0, 1, 0)), ((0, 0, 0), (1, 1, 0)))
"""Rejected bona fide presentations."""

APCER = Worst(FAR)
"""Accepted attacks of the worst instrument."""

HTER = Mean(FAR, BPCER)
"""The mean of FAR and BPCER."""

ACER = Mean(APCER, BPCER)
"""The mean of APCER and BPCER."""

ACCURACY = Share(((0, 1, 0), (1, 0, 0)), ((1, 1, 0), (1, 1, 0)))
"""Right decisions."""

APNRR = Share(((0, 0, 1), (0, 0, 0)), ((1, 1, 1), (0, 0, 0)))
"""Attacks without a score."""

BPNRR = Share(((0, 0, 0), (0, 0, 1)), ((0, 0, 0), (1, 1, 1)))
"""Bona fide presentations without a score."""


class Basis(StrEnum):
    """What a measure depends on."""

    THRESHOLD = "threshold"
    SCORES = "scores"
    RESPONSES = "responses"


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of `MEASURES`.

    Attributes:
        key: Its name in code and JSON.
        name: Its short name, in reports.
        title: Its name in a terminal's table; ``{worst}`` stands for the worst instrument, ``{split}`` for the split.
        meaning: The definition of the measure in a few words.
        basis: The decisions at the threshold, the scores themselves, or the responses.
        rate: How it is computed.
        headline: Its meaning among a report's headline figures (``{worst}`` and ``{split}`` as above); empty for a
            measure that is not among them.
        compared: Its title in a comparison of two systems; empty for a measure that is not compared.
        unit: "%" or "fraction", in reports.
        row: Its place among the measures of the same basis in tables; the order in JSON is that of `MEASURES`.
    """

    key: str
    name: str
    title: str
    meaning: str
    basis: Basis
    rate: Rated | Curve
    headline: str = ""
    compared: str = ""
    unit: str = "%"
    row: int = 100


MEASURES: tuple[Measure, ...] = (
    Measure(
        key="accuracy",
        name="Accuracy",
        title="accuracy",
        meaning="decided rightly; depends on the class mix",
        basis=Basis.THRESHOLD,
        rate=ACCURACY,
        row=6,
    ),
    Measure(
        key="apcer",
        name="APCER",
        title="APCER, worst: {worst}",
        meaning="attacks accepted, worst instrument",
        basis=Basis.THRESHOLD,
        rate=APCER,
        headline="attacks accepted (worst: {worst})",
        compared="APCER, worst instrument",
        row=1,
    ),
    Measure(
        key="far_pooled",
        name="FAR",
        title="FAR, attacks pooled",
        meaning="attacks accepted, all instruments pooled",
        basis=Basis.THRESHOLD,
        rate=FAR,
        row=2,
    ),
    Measure(
        key="bpcer",
        name="BPCER (FRR)",
        title="BPCER (FRR)",
        meaning="bona fide presentations rejected",
        basis=Basis.THRESHOLD,
        rate=BPCER,
        headline="bona fide rejected",
        compared="BPCER",
        row=3,
    ),
    Measure(
        key="hter",
        name="HTER",
        title="HTER = (FAR + BPCER) / 2",
        meaning="mean of FAR and BPCER",
        basis=Basis.THRESHOLD,
        rate=HTER,
        row=5,
    ),
    Measure(
        key="acer",
        name="ACER",
        title="ACER = (APCER + BPCER) / 2",
        meaning="mean of APCER and BPCER",
        basis=Basis.THRESHOLD,
        rate=ACER,
        headline="mean of both",
        compared="ACER",
        row=4,
    ),
    Measure(
        key="eer",
        name="EER",
        title="EER of the {split} scores themselves",
        meaning="where FAR and BPCER are equal",
        basis=Basis.SCORES,
        rate=Curve(OperatingPoints.eer),
        headline="of the {split} scores themselves",
        compared="EER of the scores themselves",
        row=1,
    ),
    Measure(
        key="auc",
        name="AUC",
        title="AUC",
        meaning="pairs of bona fide and attack ranked rightly",
        basis=Basis.SCORES,
        rate=Curve(OperatingPoints.auc, "pairs"),
        unit="fraction",
        row=2,
    ),
    Measure(
        key="apnrr",
        name="APNRR",
        title="APNRR (attacks without response)",
        meaning="attacks without a score",
        basis=Basis.RESPONSES,
        rate=APNRR,
        row=1,
    ),
    Measure(
        key="bpnrr",
        name="BPNRR",
        title="BPNRR (bona fide without response)",
        meaning="bona fide presentations without a score",
        basis=Basis.RESPONSES,
        rate=BPNRR,
        row=2,
    ),
)
"""Every measure, in the order of metrics.json."""

PRECISION_RECALL: dict[str, tuple[str, Share]] = {
    "precision": ("precision", Share(((0, 1, 0), (0, 0, 0)), ((0, 1, 0), (0, 1, 0)))),
    "recall": ("recall", Share(((0, 1, 0), (0, 0, 0)), ((1, 1, 0), (0, 0, 0)))),
    "f1": ("F1", Share(((0, 2, 0), (0, 0, 0)), ((1, 2, 0), (0, 1, 0)), binomial=False)),
}
"""Name and definition of the measures that take one class for "positive", by key; here that class is the attack."""


def bpcer_at(limit: float) -> Curve:
    """BPCER at the lowest threshold at which no instrument's APCER exceeds ``limit``, a fraction."""
    return Curve(lambda points: points.bpcer_at_apcer(limit), "bona_fide")


def measures_of(*bases: Basis) -> list[Measure]:
    """The measures of these bases, in the order of the bases and of the tables' rows."""
    return sorted((m for m in MEASURES if m.basis in bases), key=lambda m: (bases.index(m.basis), m.row))
