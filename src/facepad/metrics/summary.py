"""All metrics of a list of score records at one threshold, with intervals: the content of metrics.json."""

from __future__ import annotations

import html
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from facepad.errors import MetricError
from facepad.files.synonyms import normalise_name
from facepad.metrics import measures
from facepad.metrics.cells import Cells, count_cells
from facepad.metrics.counts import Share
from facepad.metrics.curve_rates import Curve, curve_rates
from facepad.metrics.groups import GroupComparison, compare_groups
from facepad.metrics.intervals import CONFIDENCE, Rate
from facepad.metrics.levels import Aggregation
from facepad.metrics.measures import APCER_LIMITS, APNRR, FAR, PRECISION_RECALL, Basis, bpcer_at
from facepad.metrics.notes import Note, NoteKind, has_note
from facepad.metrics.pad import ConfusionMatrix
from facepad.metrics.resampling import Cluster, Resampling
from facepad.metrics.scores import scores_sha256
from facepad.metrics.series import SeriesRates, series_rates, worst_series
from facepad.metrics.table import ScoreTable, common_split, score_table
from facepad.metrics.thresholds import CHOSEN_ON_ITSELF, Threshold, fixed_threshold
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

__all__ = ["InstrumentRates", "PadSummary", "summarize", "with_groups"]

_DEFAULT_RESAMPLING = Resampling()


@dataclass(frozen=True, slots=True)
class InstrumentRates:
    """Rates of one PAI species.

    Attributes:
        apcer: Share of the attacks that are accepted; None if no attack of this species has a score.
        apnrr: Share of the attacks without a score.
        types: The types of instrument that the attacks of the species have.
    """

    apcer: Rate | None
    apnrr: Rate
    types: tuple[str, ...] = ()

    @property
    def parent(self) -> str:
        """Type of instrument that the species belongs to; ``unknown`` if no type or several types are given."""
        return self.types[0] if len(self.types) == 1 else AttackType.UNKNOWN.value


@dataclass(frozen=True, slots=True)
class PadSummary:
    """All metrics of a list of records at one threshold.

    Attributes:
        source: Name of the scores.
        split: The split that all records share, or None.
        sha256: `scores_sha256` of the records.
        threshold: The threshold with its origin.
        rates: ``accuracy``, ``apcer`` (worst instrument), ``far_pooled``, ``bpcer``, ``hter``, ``acer`` at the
            threshold; ``eer`` and ``auc`` of the evaluated scores themselves; ``apnrr`` and ``bpnrr``.
        bpcer_at_apcer: Each of `APCER_LIMITS` to BPCER at the lowest threshold that keeps APCER within this limit.
        instruments: Rates of each PAI species. The name of a species is the name of its type of instrument, unless
            the records name the species.
        worst_instrument: The species with the highest APCER.
        confusion: Numbers of correct and wrong decisions per class.
        precision_recall: ``precision``, ``recall`` and ``f1`` with ``attack`` and with ``bona_fide`` as the positive
            class; None if the rate is not defined.
        non_responses: Numbers of records without a score, by label and status.
        non_responses_as_errors: The rates at the threshold with every non-response counted as a wrong decision.
        cluster: The resampled unit of the intervals; None for single records.
        n_clusters: Number of clusters (0 for single records).
        bootstrap: Number of resamples.
        seed: Seed of the resamples.
        notes: Notes for the reader.
        aggregation: Aggregation of the frames of a video into a record; None if records are frames.
        series: Rates of each PAI series, if attacks name series.
        groups: Rates and gaps of groups of people, from `with_groups`; None without groups.
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
    precision_recall: Mapping[str, Mapping[str, Rate | None]]
    non_responses: Mapping[str, Mapping[str, int]]
    non_responses_as_errors: Mapping[str, Rate]
    cluster: Cluster | None
    n_clusters: int
    bootstrap: int
    seed: int
    notes: tuple[Note, ...] = ()
    aggregation: Aggregation | None = None
    series: tuple[SeriesRates, ...] = ()
    groups: GroupComparison | None = None

    @property
    def level(self) -> str:
        """The level of the records: "frame" or "video"."""
        return "video" if self.aggregation else "frame"

    def _repr_html_(self) -> str:
        """The summary as a table in a notebook."""
        from facepad.metrics.text import format_summary  # local: that module imports this one

        return f"<pre>{html.escape(format_summary(self))}</pre>"

    def to_dict(self) -> dict[str, Any]:
        """Return the content of metrics.json; a rate is ``{value, low, high, n}`` in fractions, None if undefined."""
        matrix, worst = self.confusion, worst_series(self.series)
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
                name: {"apcer": _rate_dict(rates.apcer), "apnrr": _rate_dict(rates.apnrr), "parent": rates.parent}
                for name, rates in self.instruments.items()
            },
            "series": [each.to_dict() for each in self.series],
            "worst_series": worst and worst.to_dict(),
            "groups": self.groups and self.groups.to_dict(),
            "bpcer_at_apcer": {f"{limit:g}": rate.to_dict() for limit, rate in self.bpcer_at_apcer.items()},
            "confusion_matrix": {
                "bona_fide": {"accepted": matrix.bona_fide_accepted, "rejected": matrix.bona_fide_rejected},
                "attack": {"accepted": matrix.attack_accepted, "rejected": matrix.attack_rejected},
            },
            "precision_recall_f1": {
                f"{positive}_positive": {key: _rate_dict(rate) for key, rate in rates.items()}
                for positive, rates in self.precision_recall.items()
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
            "notes": [note.to_dict() for note in self.notes],
        }


def _rate_dict(rate: Rate | None) -> dict[str, float | int] | None:
    return None if rate is None else rate.to_dict()


def summarize(
    records: Sequence[ScoreRecord],
    threshold: Threshold | float,
    *,
    source: str = "",
    resampling: Resampling = _DEFAULT_RESAMPLING,
    notes: Sequence[Note] = (),
    aggregation: Aggregation | None = None,
) -> PadSummary:
    """Compute all metrics of a list of records at one threshold.

    Args:
        records: Scored records and non-responses of one split.
        threshold: From `choose_threshold` on dev records, or a plain number.
        source: Name of the scores in the output.
        resampling: Settings of the bootstrap.
        notes: Notes to copy to the summary.
        aggregation: Aggregation that made the records, if the records are videos (`to_videos`). It is copied to the
            summary.

    Raises:
        MetricError: one class has no scores, a score is NaN, or a record does not name its cluster.
    """
    threshold = threshold if isinstance(threshold, Threshold) else fixed_threshold(threshold)
    cluster = resampling.cluster_of(records)
    table = score_table(records, cluster)
    curves, at_limits = _curve_rates(table, resampling)
    cells = count_cells(table, threshold.value, resampling)
    instruments = _instruments(records, table, cells)
    summary = PadSummary(
        source=source,
        split=common_split(records),
        sha256=scores_sha256(records),
        threshold=threshold,
        rates=_rates(cells, Basis.THRESHOLD) | curves | _rates(cells, Basis.RESPONSES),
        bpcer_at_apcer=at_limits,
        instruments=instruments,
        worst_instrument=max(instruments, key=lambda name: _rate_value(instruments[name].apcer)),
        confusion=ConfusionMatrix.of(cells.total),
        precision_recall={
            "attack": _precision_recall(cells, mirrored=False),
            "bona_fide": _precision_recall(cells, mirrored=True),
        },
        non_responses=_non_responses(records),
        non_responses_as_errors=_rates(cells.strictly(), Basis.THRESHOLD),
        cluster=cluster,
        n_clusters=table.n_clusters,
        bootstrap=resampling.replicates,
        seed=resampling.seed,
        aggregation=aggregation,
        series=series_rates(records, threshold.value, cluster, resampling),
    )
    return replace(summary, notes=(*notes, *_notes_of(records), *_summary_notes(summary)))


def with_groups(summary: PadSummary, records: Sequence[ScoreRecord], columns: Sequence[str]) -> PadSummary:
    """Return a summary with the rates of groups at the same threshold. Without columns, it stays unchanged.

    Args:
        summary: The summary of the records.
        records: The records.
        columns: The attributes that make the groups.

    Raises:
        MetricError: a column is absent, constant or nearly empty, or there are too many groups.
    """
    if not columns:
        return summary
    resampling = Resampling(summary.cluster, summary.bootstrap, summary.seed)
    groups = compare_groups(records, summary.threshold.value, columns, summary.cluster, resampling)
    return replace(summary, groups=groups, notes=(*summary.notes, *groups.notes))


def _rate_value(rate: Rate | None) -> float:
    return -1.0 if rate is None else rate.value


def _notes_of(records: Sequence[ScoreRecord]) -> Iterator[Note]:
    people = {record.subject for record in records}
    if len(people) == 1 and (only := people.pop()):
        text = f"all samples are of one person ({only}): the intervals say nothing about other people"
        yield Note(NoteKind.INTERVAL, text)
    types: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.species is not None and record.attack_type is not None:
            types[record.species].add(record.attack_type.value)
    for name, found in sorted(types.items()):
        if len(found) > 1:
            text = f"species {name!r} is in several attack types ({', '.join(sorted(found))}) and counts as one species"
            yield Note(NoteKind.READING, text)


def _summary_notes(summary: PadSummary) -> Iterator[Note]:
    origin = summary.threshold.origin
    if summary.sha256 == origin.sha256 and not has_note(origin.notes, NoteKind.CHOSEN_ON_ITSELF):
        yield Note(NoteKind.CHOSEN_ON_ITSELF, f"the threshold was {CHOSEN_ON_ITSELF}")
    if unscored := [name for name, rates in summary.instruments.items() if rates.apcer is None]:
        text = f"APCER is not defined for {', '.join(unscored)}: none of these attacks got a score"
        yield Note(NoteKind.UNDEFINED, text)
    if single := [name for name, rates in summary.instruments.items() if rates.apcer and rates.apcer.n == 1]:
        # No name stands first: a report begins notes with a capital, and 'wig' would become another species, 'Wig'.
        text = f"only one presentation has a score, so APCER can only be 0 % or 100 %: {', '.join(single)}"
        yield Note(NoteKind.INTERVAL, text)
    yield from _spelling_notes(summary.instruments)
    for positive, rates in summary.precision_recall.items():
        for key, rate in rates.items():
            if rate is None:
                of = positive.replace("_", " ")
                text = f"{key} ({of} positive) is not defined: no sample was decided as {of}"
                yield Note(NoteKind.UNDEFINED, text)


def _spelling_notes(species: Iterable[str]) -> Iterator[Note]:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in species:
        alike[normalise_name(name)].append(name)
    for names in alike.values():
        if len(names) > 1:
            text = f"{' and '.join(map(repr, names))} may be one species in {len(names)} spellings; each counts alone"
            yield Note(NoteKind.READING, text)


def _rates(cells: Cells, basis: Basis) -> dict[str, Rate]:
    """Return the rates with one basis that are computed from counts, by key, in the order of `MEASURES`."""
    rows = [measure for measure in measures.MEASURES if measure.basis is basis]
    return {measure.key: cells.rate(measure.rate) for measure in rows if not isinstance(measure.rate, Curve)}


def _curve_rates(table: ScoreTable, resampling: Resampling) -> tuple[dict[str, Rate], dict[float, Rate]]:
    """Return the rates of the evaluated scores by key, and BPCER at each of `APCER_LIMITS`."""
    curves = {m.key: m.rate for m in measures.MEASURES if isinstance(m.rate, Curve)}
    rates = curve_rates(table, [*curves.values(), *map(bpcer_at, APCER_LIMITS)], resampling)
    return dict(zip(curves, rates, strict=False)), dict(zip(APCER_LIMITS, rates[len(curves) :], strict=True))


def _instruments(records: Iterable[ScoreRecord], table: ScoreTable, cells: Cells) -> dict[str, InstrumentRates]:
    types: dict[str | None, set[str]] = defaultdict(set)
    for record in records:
        types[record.species].add((record.attack_type or AttackType.UNKNOWN).value)
    both = zip(cells.by_instrument(FAR), cells.by_instrument(APNRR), strict=True)
    return {
        name: InstrumentRates(apcer, apnrr, tuple(sorted(types[name])))
        for name, (apcer, apnrr) in zip(table.instruments, both, strict=True)
        if apnrr is not None  # never None, because every instrument of the table has a record
    }


def _precision_recall(cells: Cells, *, mirrored: bool) -> dict[str, Rate | None]:
    """Return the rates of `PRECISION_RECALL`; attacks are the positive class, or bona fide samples if mirrored."""

    def rate(share: Share) -> Rate | None:
        try:
            return cells.rate(share.mirrored() if mirrored else share)
        except MetricError:  # a note of the summary names the undefined rate
            return None

    return {key: rate(share) for key, (_, share) in PRECISION_RECALL.items()}


def _non_responses(records: Sequence[ScoreRecord]) -> dict[str, dict[str, int]]:
    counts = Counter((record.label, record.status) for record in records)
    missing = [status for status in ScoreStatus if status is not ScoreStatus.SCORED]
    return {label.value: {status.value: counts[label, status] for status in missing} for label in Label}
