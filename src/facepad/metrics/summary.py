"""All metrics of one list of score records at one threshold, each with its interval: the content of metrics.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facepad.errors import MetricError
from facepad.metrics.arrays import Floats
from facepad.metrics.cells import ACCEPTED, FRAMES, NO_RESPONSE, REJECTED, Cells, Ratio, count_cells
from facepad.metrics.intervals import CONFIDENCE, Rate, check_bootstrap, clopper_pearson, percentile_interval
from facepad.metrics.levels import Aggregation
from facepad.metrics.pad import ConfusionMatrix
from facepad.metrics.ranking import Operating, Ranking
from facepad.metrics.scores import scores_sha256
from facepad.metrics.table import Cluster, ScoreTable, common_split, score_table
from facepad.metrics.thresholds import CHOSEN_ON_ITSELF, Threshold, fixed_threshold
from facepad.types import Label, ScoreRecord, ScoreStatus, Split

__all__ = ["APCER_LIMITS", "InstrumentRates", "PadSummary", "Reading", "summarize"]

APCER_LIMITS = (0.01, 0.05, 0.1)
_Rows = slice | int
_ATTACKS, _BONA_FIDE, _ALL = slice(0, -1), -1, slice(None)  # rows of the cells: instruments first, bona fide last


@dataclass(frozen=True, slots=True)
class InstrumentRates:
    """One instrument's rates; ``apcer`` is None when none of its attacks got a score."""

    apcer: Rate | None
    apnrr: Rate


@dataclass(frozen=True, slots=True)
class Reading:
    """Precision, recall and F1 for one reading of "positive"; None where nothing was decided so."""

    precision: Rate | None
    recall: Rate
    f1: Rate


@dataclass(frozen=True, slots=True)
class PadSummary:
    """Everything measured on one list of records at one threshold.

    Attributes:
        source: Name of the scores, as the caller gives it.
        split: The split that all records share, or None.
        sha256: `scores_sha256` of the records.
        threshold: The threshold with its origin.
        rates: ``accuracy``, ``apcer`` (worst instrument), ``far_pooled``, ``bpcer``, ``hter``, ``acer`` at the
            threshold; ``eer`` and ``auc`` of the evaluated scores themselves; ``apnrr`` and ``bpnrr``.
        bpcer_at_apcer: BPCER where the evaluated scores reach each of `APCER_LIMITS`.
        instruments: Rates of each attack instrument.
        worst_instrument: The instrument with the highest APCER.
        confusion: Decisions counted.
        readings: `Reading` with ``attack`` and with ``bona_fide`` as the positive class.
        non_responses: Records without a score by label and status.
        non_responses_as_errors: The rates at the threshold with every non-response counted as a wrong decision.
        cluster: What the intervals resample; None when frames count one by one.
        n_clusters: How many there are (0 without).
        bootstrap: Number of resamples.
        seed: Seed of the resamples.
        notes: What else a reader must know, one line each.
        aggregation: How the scores of a video's frames were aggregated into the records; None when records are frames.
    """

    source: str
    split: Split | None
    sha256: str
    threshold: Threshold
    rates: Mapping[str, Rate]
    bpcer_at_apcer: Mapping[float, Rate]
    instruments: Mapping[str, InstrumentRates]
    worst_instrument: str
    confusion: ConfusionMatrix
    readings: Mapping[str, Reading]
    non_responses: Mapping[str, Mapping[str, int]]
    non_responses_as_errors: Mapping[str, Rate]
    cluster: Cluster | None
    n_clusters: int
    bootstrap: int
    seed: int
    notes: tuple[str, ...] = ()
    aggregation: Aggregation | None = None

    @property
    def level(self) -> str:
        """What one record is: "frame" or "video"."""
        return "video" if self.aggregation else "frame"

    def to_dict(self) -> dict[str, Any]:
        """The content of metrics.json: rates are fractions ``{value, low, high, n}``, None is undefined."""
        matrix = self.confusion
        methods = {name: rate.method for name, rate in self.rates.items()}
        methods |= {f"instruments.{k}": v.apcer.method for k, v in self.instruments.items() if v.apcer}
        return {
            "source": self.source,
            "split": None if self.split is None else self.split.value,
            "level": self.level,
            "fusion": self.aggregation,
            "scores_sha256": self.sha256,
            "threshold": self.threshold.to_dict(),
            **{name: rate.to_dict() for name, rate in self.rates.items()},
            "worst_instrument": self.worst_instrument,
            "instruments": {
                name: {"apcer": _plain(rates.apcer), "apnrr": _plain(rates.apnrr)}
                for name, rates in self.instruments.items()
            },
            "bpcer_at_apcer": {f"{limit:g}": rate.to_dict() for limit, rate in self.bpcer_at_apcer.items()},
            "confusion_matrix": {
                "bona_fide": {"accepted": matrix.bona_fide_accepted, "rejected": matrix.bona_fide_rejected},
                "attack": {"accepted": matrix.attack_accepted, "rejected": matrix.attack_rejected},
            },
            "precision_recall_f1": {
                f"{positive}_positive": {
                    "precision": _plain(reading.precision),
                    "recall": _plain(reading.recall),
                    "f1": _plain(reading.f1),
                }
                for positive, reading in self.readings.items()
            },
            "non_responses": {label: dict(counts) for label, counts in self.non_responses.items()},
            "non_responses_as_errors": {n: rate.to_dict() for n, rate in self.non_responses_as_errors.items()},
            "intervals": {
                "confidence": CONFIDENCE,
                "cluster": self.cluster,
                "n_clusters": self.n_clusters,
                "bootstrap": self.bootstrap,
                "seed": self.seed,
                "methods": methods,
            },
            "notes": list(self.notes),
        }


def _plain(rate: Rate | None) -> dict[str, float | int] | None:
    return None if rate is None else rate.to_dict()


def summarize(
    records: Sequence[ScoreRecord],
    threshold: Threshold | float,
    *,
    source: str = "",
    cluster: Cluster | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    notes: Sequence[str] = (),
    aggregation: Aggregation | None = None,
) -> PadSummary:
    """Measure everything on one list of records at one threshold.

    Args:
        records: Scored records and non-responses of one split.
        threshold: From `choose_threshold` on dev records, or a plain number.
        source: Name of the scores, for the reader.
        cluster: What the intervals resample as a whole ("subject", "video"); None counts frames as independent.
        bootstrap: Number of resamples.
        seed: Seed of the resamples; the same seed gives the same intervals.
        notes: Lines to keep in the summary.
        aggregation: How the records were aggregated, where they are videos (`to_videos`); it is only remembered here.

    Raises:
        MetricError: no scored bona fide record or no scored attack, a NaN score, or a cluster that records do not name.
    """
    check_bootstrap(bootstrap)
    threshold = threshold if isinstance(threshold, Threshold) else fixed_threshold(threshold)
    table = score_table(records, cluster)
    ranking = table.ranking()
    cells = count_cells(table, threshold.value, bootstrap, seed)
    sha256 = scores_sha256(records)
    instruments = _instruments(table, cells)
    curve, at_limits = _curve_rates(table, ranking, bootstrap, seed)
    at_threshold = _decision_rates(cells, (REJECTED,))
    readings = _readings(cells)
    return PadSummary(
        source=source,
        split=common_split(records),
        sha256=sha256,
        threshold=threshold,
        rates=at_threshold | curve | _non_response_rates(cells),
        bpcer_at_apcer=at_limits,
        instruments=instruments,
        worst_instrument=max(instruments, key=lambda name: _value(instruments[name].apcer)),
        confusion=_confusion(cells),
        readings=readings,
        non_responses=_non_responses(records),
        non_responses_as_errors=_decision_rates(cells, (REJECTED, NO_RESPONSE)),
        cluster=cluster,
        n_clusters=table.n_clusters,
        bootstrap=bootstrap,
        seed=seed,
        notes=(*notes, *_one_person(records), *_remarks(threshold, sha256, instruments, readings)),
        aggregation=aggregation,
    )


def _value(rate: Rate | None) -> float:
    return -1.0 if rate is None else rate.value


def _one_person(records: Sequence[ScoreRecord]) -> list[str]:
    people = {record.subject for record in records}
    only = people.pop() if len(people) == 1 else ""
    return [f"all samples are of one person ({only}): the intervals say nothing about others"] if only else []


def _remarks(
    threshold: Threshold, sha256: str, instruments: Mapping[str, InstrumentRates], readings: Mapping[str, Reading]
) -> list[str]:
    remarks = []
    if sha256 == threshold.origin.sha256 and CHOSEN_ON_ITSELF not in threshold.origin.note:
        remarks.append(f"the threshold was {CHOSEN_ON_ITSELF}")
    unscored = [name for name, rates in instruments.items() if rates.apcer is None]
    if unscored:
        remarks.append(f"APCER is not defined for {', '.join(unscored)}: none of these attacks got a score")
    for positive, reading in readings.items():
        if reading.precision is None:
            remarks.append(f"precision ({positive} positive) is not defined: no sample was decided so")
    return remarks


def _mask(cells: Cells, rows: _Rows, outcomes: Sequence[int]) -> Floats:
    mask = np.zeros(cells.total.shape)
    mask[rows, list(outcomes)] = 1.0
    return mask


def _attack_errors(cells: Cells, rows: _Rows, bad: Sequence[int]) -> Ratio:
    """Attacks accepted (or, where ``bad`` has it, without response) among those counted."""
    responses = [NO_RESPONSE] if NO_RESPONSE in bad else []
    wrong = [ACCEPTED, *responses]
    return Ratio(_mask(cells, rows, wrong), _mask(cells, rows, [ACCEPTED, REJECTED, *responses]))


def _decision_rates(cells: Cells, bad: Sequence[int]) -> dict[str, Rate]:
    """Rates at the threshold; ``bad`` are the outcomes that are wrong for a bona fide record."""
    counted = [ACCEPTED, *bad]
    bona_fide = Ratio(_mask(cells, _BONA_FIDE, bad), _mask(cells, _BONA_FIDE, counted))
    pooled = _attack_errors(cells, _ATTACKS, bad)
    right = _mask(cells, _ATTACKS, [REJECTED]) + _mask(cells, _BONA_FIDE, [ACCEPTED])
    everything = Ratio(right, _mask(cells, _ALL, counted))
    rows = [_attack_errors(cells, row, bad) for row in range(len(cells.total) - 1)]
    each = [ratio for ratio in rows if float(np.tensordot(cells.total, ratio.whole)) > 0]
    accuracy, bpcer, far = cells.rate(everything), cells.rate(bona_fide), cells.rate(pooled)
    apcer = cells.worst([cells.rate(ratio) for ratio in each])
    return {
        "accuracy": accuracy,
        "apcer": apcer,
        "far_pooled": far,
        "bpcer": bpcer,
        "hter": cells.mean(far, [pooled], bpcer, bona_fide, accuracy.n),
        "acer": cells.mean(apcer, each, bpcer, bona_fide, accuracy.n),
    }


def _non_response_rates(cells: Cells) -> dict[str, Rate]:
    every = [ACCEPTED, REJECTED, NO_RESPONSE]
    sides: tuple[tuple[str, _Rows], ...] = (("apnrr", _ATTACKS), ("bpnrr", _BONA_FIDE))
    return {
        name: cells.rate(Ratio(_mask(cells, rows, [NO_RESPONSE]), _mask(cells, rows, every))) for name, rows in sides
    }


def _instruments(table: ScoreTable, cells: Cells) -> dict[str, InstrumentRates]:
    rates = {}
    for row, name in enumerate(table.instruments):
        every = _mask(cells, row, [ACCEPTED, REJECTED, NO_RESPONSE])
        scored = cells.total[row, [ACCEPTED, REJECTED]].sum() > 0
        apcer = cells.rate(_attack_errors(cells, row, (REJECTED,))) if scored else None
        rates[name] = InstrumentRates(apcer, cells.rate(Ratio(_mask(cells, row, [NO_RESPONSE]), every)))
    return rates


def _confusion(cells: Cells) -> ConfusionMatrix:
    attack, bona_fide = cells.total[:-1].sum(axis=0), cells.total[-1]
    return ConfusionMatrix(
        bona_fide_accepted=int(bona_fide[ACCEPTED]),
        bona_fide_rejected=int(bona_fide[REJECTED]),
        attack_accepted=int(attack[ACCEPTED]),
        attack_rejected=int(attack[REJECTED]),
    )


def _readings(cells: Cells) -> dict[str, Reading]:
    sides: dict[str, tuple[_Rows, _Rows, int, int]] = {
        "attack": (_ATTACKS, _BONA_FIDE, REJECTED, ACCEPTED),
        "bona_fide": (_BONA_FIDE, _ATTACKS, ACCEPTED, REJECTED),
    }
    readings = {}
    for positive, (own, other, decided, missed) in sides.items():
        hits, misses = _mask(cells, own, [decided]), _mask(cells, own, [missed])
        false_alarms = _mask(cells, other, [decided])
        try:
            precision = cells.rate(Ratio(hits, hits + false_alarms))
        except MetricError:  # nothing was decided so: the summary says it in words
            precision = None
        f1 = Ratio(2 * hits, 2 * hits + false_alarms + misses, proportion=False)
        readings[positive] = Reading(precision, cells.rate(Ratio(hits, hits + misses)), cells.rate(f1))
    return readings


def _non_responses(records: Sequence[ScoreRecord]) -> dict[str, dict[str, int]]:
    counts = Counter((record.label, record.status) for record in records)
    missing = [status for status in ScoreStatus if status is not ScoreStatus.SCORED]
    return {label.value: {status.value: counts[label, status] for status in missing} for label in Label}


def _curve_rates(
    table: ScoreTable, ranking: Ranking, replicates: int, seed: int
) -> tuple[dict[str, Rate], dict[float, Rate]]:
    """EER, AUC and BPCER at fixed APCER: read off the evaluated scores' own curve."""
    reads: list[Callable[[Operating], float]] = [Operating.eer, Operating.auc]
    reads += [_bpcer_reader(limit) for limit in APCER_LIMITS]
    points = ranking.read()
    values = [read(points) for read in reads]
    draws = table.bootstrap(ranking, lambda p: [read(p) for read in reads], replicates, seed)
    clustered, sizes = table.by_clusters(), table.n_scored()
    units, unit = (table.units(), f" {table.unit}") if clustered else (sizes, f" frames, {FRAMES}")
    edges = [_edge(values[0], min(units)), _edge_auc(values[1], units), *(_edge(v, units[0]) for v in values[2:])]
    trials = [str(min(units)), f"{units[0]} and {units[1]}", *(str(units[0]) for _ in APCER_LIMITS)]
    counts = [sum(sizes), sum(sizes), *(sizes[0] for _ in APCER_LIMITS)]
    drawn = f"bootstrap over {table.n_clusters} {table.unit}" if clustered else f"bootstrap, {FRAMES}"
    rates = []
    for place, (value, edge, n) in enumerate(zip(values, edges, counts, strict=True)):
        low, high = edge or percentile_interval(value, draws[:, place])
        rates.append(Rate(value, low, high, n, f"exact bound, n = {trials[place]}{unit}" if edge else drawn))
    return {"eer": rates[0], "auc": rates[1]}, dict(zip(APCER_LIMITS, rates[2:], strict=True))


def _bpcer_reader(limit: float) -> Callable[[Operating], float]:
    return lambda points: points.rejected(points.lowest_with_apcer(limit)) / points.n_bona_fide


def _edge(value: float, units: int) -> tuple[float, float] | None:
    """The exact bound of a rate without (or with nothing but) errors, where resampling cannot move; else None."""
    return clopper_pearson(round(value) * units, units) if value in (0.0, 1.0) else None


def _edge_auc(value: float, units: tuple[int, int]) -> tuple[float, float] | None:
    """A pair is ranked wrongly only if the attack or the bona fide sample errs at the threshold between the classes."""
    if value not in (0.0, 1.0):
        return None
    worst = 1.0
    for n in units:
        worst *= 1 - clopper_pearson(0, n)[1]
    return (worst, 1.0) if value == 1.0 else (0.0, 1 - worst)
