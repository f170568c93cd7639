"""The table of measures. Terminal output, reports and comparisons show each row of this table."""

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
"""The maximum values of APCER at which summaries give BPCER."""

# The arguments of a share are the numerator and the denominator. Both have the weights of (accepted, rejected, no
# response), first for attacks, then for bona fide samples.
FAR = Share(((1, 0, 0), (0, 0, 0)), ((1, 1, 0), (0, 0, 0)))
"""Share of attacks that are accepted, over all instruments together."""

BPCER = Share(((0, 0, 0), (0, 1, 0)), ((0, 0, 0), (1, 1, 0)))
"""Share of bona fide presentations that are rejected."""

APCER = Worst(FAR)
"""The highest share of accepted attacks of any instrument."""

HTER = Mean(FAR, BPCER)
"""The mean of FAR and BPCER."""

ACER = Mean(APCER, BPCER)
"""The mean of APCER and BPCER."""

ACCURACY = Share(((0, 1, 0), (1, 0, 0)), ((1, 1, 0), (1, 1, 0)))
"""Share of samples that are decided correctly."""

APNRR = Share(((0, 0, 1), (0, 0, 0)), ((1, 1, 1), (0, 0, 0)))
"""Share of attacks without a score."""

BPNRR = Share(((0, 0, 0), (0, 0, 1)), ((0, 0, 0), (1, 1, 1)))
"""Share of bona fide presentations without a score."""


class Basis(StrEnum):
    """The input of a measure: decisions at a threshold, scores, or responses."""

    THRESHOLD = "threshold"
    SCORES = "scores"
    RESPONSES = "responses"


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of `MEASURES`.

    Attributes:
        key: Name of the measure in code and JSON.
        name: Short name of the measure in reports.
        title: Name of the measure in terminal output. ``{worst}`` is replaced by the worst instrument, ``{split}`` by
            the split.
        meaning: Short definition of the measure.
        basis: Input of the measure: decisions at the threshold, scores, or responses.
        rate: Definition of the rate.
        headline: Explanation of the measure as a headline figure of a report, with placeholders as in ``title``. Empty
            for a measure that is not a headline figure.
        compared: Name of the measure in a comparison of two systems; empty for a measure that is not compared.
        unit: Unit of the measure in reports, "%" or "fraction".
        row: Position in tables among the measures of the same basis. The order in JSON is the order of `MEASURES`.
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
        meaning="correct decisions; depends on the class sizes",
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
        headline="mean of APCER and BPCER",
        compared="ACER",
        row=4,
    ),
    Measure(
        key="eer",
        name="EER",
        title="EER of the {split} scores themselves",
        meaning="rate at which FAR and BPCER are equal",
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
        meaning="pairs in which the bona fide score is above the attack score",
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
"""Name and definition of the measures with a positive class, by key. Attacks are the positive class."""


def bpcer_at(limit: float) -> Curve:
    """Define BPCER at the lowest threshold at which no instrument's APCER exceeds ``limit``, a fraction."""
    return Curve(lambda points: points.bpcer_at_apcer(limit), "bona_fide")


def measures_of(*bases: Basis) -> list[Measure]:
    """Return the measures with these bases, in the order of the bases and then of `Measure.row`."""
    return sorted((m for m in MEASURES if m.basis in bases), key=lambda m: (bases.index(m.basis), m.row))
