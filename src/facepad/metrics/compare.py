"""Comparison of two systems on the same samples, with significance tests of their differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError
from facepad.metrics.arrays import Floats
from facepad.metrics.counts import rate_in
from facepad.metrics.curve_rates import Curve
from facepad.metrics.from_file import parts_of
from facepad.metrics.intervals import CONFIDENCE, percentile_interval
from facepad.metrics.levels import Aggregation
from facepad.metrics.measures import Basis, Measure, measures_of
from facepad.metrics.notes import Note, NoteKind
from facepad.metrics.pairs import matched
from facepad.metrics.ranking import OperatingPoints
from facepad.metrics.resampling import Cluster, Resampling
from facepad.metrics.table import ScoreTable, common_split, require_both_classes, score_table
from facepad.metrics.thresholds import Threshold
from facepad.types import Label, ScoreRecord, Split

__all__ = [
    "Comparison",
    "Difference",
    "McNemar",
    "System",
    "compare_files",
    "compare_records",
    "compared_measures",
    "mcnemar",
]

_DEFAULT_RESAMPLING = Resampling(replicates=2000)
_Flags = npt.NDArray[np.bool_]


def compared_measures() -> list[Measure]:
    """Return the measures of a comparison: first those without a threshold, then those at each system's threshold."""
    return [measure for measure in measures_of(Basis.SCORES, Basis.THRESHOLD) if measure.compared]


@dataclass(frozen=True, slots=True)
class System:
    """One of the two compared systems.

    Attributes:
        name: Name of the system in the output.
        records: Scores of the system, of one split.
        threshold: Threshold of the system; a sample is accepted when score >= ``threshold.value``.
    """

    name: str
    records: Sequence[ScoreRecord]
    threshold: Threshold


@dataclass(frozen=True, slots=True)
class McNemar:
    """Correct decisions of two systems on the same samples, and the p-value of McNemar's exact test.

    Attributes:
        both_right: Number of samples that both systems decide correctly.
        only_a: Number of samples that only A decides correctly.
        only_b: Number of samples that only B decides correctly.
        both_wrong: Number of samples that both systems decide wrongly.
        p: Two-sided p-value of the hypothesis that both systems are equally good.
    """

    both_right: int
    only_a: int
    only_b: int
    both_wrong: int
    p: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure of both systems and the difference; rates are fractions in [0, 1].

    Attributes:
        a: The measure of the first system.
        b: The measure of the second system.
        low: Lower end of the 95 % interval of ``b - a``; None if the interval is not defined.
        high: Upper end of the 95 % interval of ``b - a``; None if the interval is not defined.
        p: Two-sided p-value of the hypothesis "no difference"; None if not defined.
        method: Method of the interval and p-value, or the reason why they are not defined.
    """

    a: float
    b: float
    low: float | None
    high: float | None
    p: float | None
    method: str

    @property
    def difference(self) -> float:
        """``b - a``, negative if the second system has the lower error rate."""
        return self.b - self.a

    @property
    def significant(self) -> bool:
        """Whether the difference is significant (p < 0.05)."""
        return self.p is not None and self.p < 1 - CONFIDENCE


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of `compare_records`.

    Attributes:
        names: The names of both systems.
        thresholds: The thresholds of both systems.
        split: The split of the compared samples, or None.
        n_bona_fide: Bona fide samples that both systems scored.
        n_attack: Attacks that both systems scored.
        only_a: Number of samples in the records of A only.
        only_b: Number of samples in the records of B only.
        unscored: Numbers of shared samples without a score from A only, from B only, and from both.
        differences: Key of each measure in `compared_measures` to its `Difference`.
        decisions: ``all``, ``bona_fide`` and ``attack`` to the `McNemar` result on these samples.
        cluster: The resampled unit; None for single samples.
        n_clusters: Number of clusters (0 for single samples).
        bootstrap: Number of resamples.
        seed: Seed of the resamples.
        aggregation: Aggregation of the frames of a video; None if samples are frames.
        notes: Notes for the reader.
    """

    names: tuple[str, str]
    thresholds: tuple[Threshold, Threshold]
    split: Split | None
    n_bona_fide: int
    n_attack: int
    only_a: int
    only_b: int
    unscored: tuple[int, int, int]
    differences: Mapping[str, Difference]
    decisions: Mapping[str, McNemar]
    cluster: Cluster | None
    n_clusters: int
    bootstrap: int
    seed: int
    aggregation: Aggregation | None
    notes: tuple[Note, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; rates and differences are fractions, None means not defined."""
        systems = zip(("a", "b"), self.names, self.thresholds, strict=True)
        return {
            **{key: {"source": name, "threshold": threshold.to_dict()} for key, name, threshold in systems},
            "split": None if self.split is None else self.split.value,
            "level": "video" if self.aggregation else "frame",
            "fusion": self.aggregation,
            "samples": {
                "bona_fide": self.n_bona_fide,
                "attack": self.n_attack,
                "only_in_a": self.only_a,
                "only_in_b": self.only_b,
                **dict(zip(("unscored_by_a", "unscored_by_b", "unscored_by_both"), self.unscored, strict=True)),
            },
            "differences": {
                name: asdict(found) | {"difference": found.difference, "significant": found.significant}
                for name, found in self.differences.items()
            },
            "mcnemar": {name: asdict(found) for name, found in self.decisions.items()},
            "intervals": {
                "confidence": CONFIDENCE,
                "cluster": self.cluster,
                "n_clusters": self.n_clusters,
                "bootstrap": self.bootstrap,
                "seed": self.seed,
            },
            "notes": [note.to_dict() for note in self.notes],
        }


def compare_files(
    a: Path,
    b: Path,
    criterion: str | float = "eer",
    *,
    aggregation: Aggregation | None = None,
    resampling: Resampling = _DEFAULT_RESAMPLING,
    higher_is: Label = Label.BONA_FIDE,
) -> Comparison:
    """Compare the test scores of two systems, each at a threshold chosen on the dev scores of the same system.

    Args:
        a: Scores file of the first system.
        b: Scores file of the second system, on the same samples.
        criterion: A criterion as in `parse_criterion`. A number is the threshold of both systems.
        aggregation: Aggregation of frames into videos, to compare videos. The systems may have scored different frames
            of a video. None compares frames.
        resampling: Settings of the bootstrap.
        higher_is: The meaning of high scores in both files. Scores whose high values mean attack are negated.

    Raises:
        ScoresError: a file has an invalid format, or the files do not describe the same samples.
        MetricError: one class has no scores, or the criterion or aggregation is unknown.
    """
    one, other = (parts_of(Path(path), aggregation=aggregation, higher_is=higher_is) for path in (a, b))
    first, second = (
        System(str(path), parts.measured, parts.threshold(criterion, Resampling(seed=resampling.seed)))
        for path, parts in ((a, one), (b, other))
    )
    sides = (("A", one.notes), ("B", other.notes))
    notes = [replace(note, text=f"{name}: {note}") for name, found in sides for note in found]
    return compare_records(first, second, aggregation=aggregation, resampling=resampling, notes=notes)


def compare_records(
    a: System,
    b: System,
    *,
    aggregation: Aggregation | None = None,
    resampling: Resampling = _DEFAULT_RESAMPLING,
    notes: Sequence[Note] = (),
) -> Comparison:
    """Compare two systems on the samples that both scored.

    Both systems are measured on the same resamples of subjects (or videos), so the difficulty of a subject cancels.
    Samples are matched by path and frame.

    Args:
        a: The first system.
        b: The second system.
        aggregation: Aggregation that made the records, if the records are videos; it is copied to the result.
        resampling: Settings of the bootstrap.
        notes: Notes to copy to the result.

    Raises:
        ScoresError: a sample occurs twice, the systems share no sample, or they describe a sample differently.
        MetricError: all samples that both systems scored are of one class.
    """
    shared = matched(a.records, b.records)
    pairs = [pair for pair in shared if all(record.score is not None for record in pair)]
    missing = Counter((one.score is None, other.score is None) for one, other in shared)
    require_both_classes(
        (one for one, _ in pairs), "a comparison needs samples of both classes that both systems scored"
    )
    sides = [[pair[place] for pair in pairs] for place in (0, 1)]
    unit = resampling.cluster_of(sides[0])
    tables = [score_table(side, unit) for side in sides]
    thresholds = a.threshold, b.threshold
    decisions = _decisions(tables, thresholds)
    n_bona_fide, n_attack = tables[0].n_scored()
    return Comparison(
        names=(a.name, b.name),
        thresholds=thresholds,
        split=common_split(sides[0]),
        n_bona_fide=n_bona_fide,
        n_attack=n_attack,
        only_a=len(a.records) - len(shared),
        only_b=len(b.records) - len(shared),
        unscored=(missing[True, False], missing[False, True], missing[True, True]),
        differences=_differences(tables, thresholds, resampling, "videos" if aggregation else "frames"),
        decisions=decisions,
        cluster=unit,
        n_clusters=tables[0].n_clusters,
        bootstrap=resampling.replicates,
        seed=resampling.seed,
        aggregation=aggregation,
        notes=(*notes, *_interval_notes(tables[0])),
    )


def mcnemar(right_a: npt.ArrayLike, right_b: npt.ArrayLike) -> McNemar:
    """Run McNemar's exact test on paired decisions (McNemar, Psychometrika 1947; exact binomial form).

    The test uses only the samples that exactly one system decides correctly. If both systems are equally good, each of
    these samples belongs to A or B with probability 1/2. The test assumes independent samples.

    Args:
        right_a: Whether the first system decided each sample correctly, bool, shape (N,).
        right_b: Whether the second system decided each sample correctly, bool, shape (N,).

    Raises:
        MetricError: the shapes differ.

    >>> mcnemar([True, True, True, False], [False, False, False, True]).p
    0.625
    """
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    if a.shape != b.shape:
        raise MetricError(f"expected decisions on the same samples, got shapes {a.shape} and {b.shape}")
    both, only_a, only_b = (int(np.count_nonzero(flags)) for flags in (a & b, a & ~b, ~a & b))
    from scipy.stats import binomtest  # a slow import, needed only here

    differing = only_a + only_b
    p = float(binomtest(only_a, differing).pvalue) if differing else 1.0
    return McNemar(both, only_a, only_b, a.size - both - differing, p)


def _decisions(tables: Sequence[ScoreTable], thresholds: tuple[Threshold, Threshold]) -> dict[str, McNemar]:
    bona_fide = tables[0].kinds == len(tables[0].instruments)
    right: list[_Flags] = [
        (table.scores >= threshold.value) == bona_fide for table, threshold in zip(tables, thresholds, strict=True)
    ]
    groups = {"all": np.full(bona_fide.shape, True), "bona_fide": bona_fide, "attack": ~bona_fide}
    return {name: mcnemar(right[0][group], right[1][group]) for name, group in groups.items()}


def _differences(
    tables: Sequence[ScoreTable], thresholds: tuple[Threshold, Threshold], resampling: Resampling, level: str
) -> dict[str, Difference]:
    measures = compared_measures()
    # Both tables have the same order of samples and use the same seed, so row r of both arrays is the same resample.
    (values_a, draws_a), (values_b, draws_b) = (
        _bootstrapped_measures(table, threshold.value, measures, resampling)
        for table, threshold in zip(tables, thresholds, strict=True)
    )
    table, drawn = tables[0], draws_b - draws_a
    clustered = table.by_clusters()
    how = f"bootstrap over {table.n_clusters} {table.unit}" if clustered else f"bootstrap, assumes independent {level}"
    return {
        measure.key: _difference(values_a[at], values_b[at], drawn[:, at], _smallest_class_units(table, measure), how)
        for at, measure in enumerate(measures)
    }


def _bootstrapped_measures(
    table: ScoreTable, threshold: float, measures: Sequence[Measure], resampling: Resampling
) -> tuple[list[float], Floats]:
    """Return the values of M measures of a system, and their values in each of B resamples, shape (B, M)."""
    curves = [measure.rate for measure in measures if isinstance(measure.rate, Curve)]

    def read(points: OperatingPoints) -> list[float]:
        return [*(curve.read(points) for curve in curves), *points.counts_at(threshold).ravel()]

    ranking = table.ranking()
    rows = np.vstack([read(ranking.read()), table.bootstrap(ranking, read, resampling)])
    counts = rows[:, len(curves) :].reshape(len(rows), -1, 3)
    columns = [
        rows[:, curves.index(measure.rate)] if isinstance(measure.rate, Curve) else rate_in(counts, measure.rate)
        for measure in measures
    ]
    found = np.column_stack(columns)
    return found[0].tolist(), found[1:]


def _smallest_class_units(table: ScoreTable, measure: Measure) -> int:
    """Return the number of subjects, videos or samples in the smaller of the classes that the measure counts."""
    bona_fide, attack = table.units()
    if isinstance(measure.rate, Curve):
        return min(bona_fide, attack)
    whole = sum(quotient.whole for quotient in measure.rate.quotients(2))
    return min(n for n, counted in zip((attack, bona_fide), np.any(whole, axis=1), strict=True) if counted)


def _difference(a: float, b: float, drawn: Floats, units: int, how: str) -> Difference:
    """Return the difference of one measure; ``drawn`` holds ``b - a`` of each resample or NaN, shape (B,)."""
    drawn = drawn[~np.isnan(drawn)]
    if drawn.size == 0:
        return Difference(a, b, None, None, None, "not defined: no resample holds both classes")
    if a == b and a in (0.0, 1.0) and not drawn.any():
        why = "neither system makes an error" if a == 0 else "both systems are always wrong"
        return Difference(a, b, None, None, 1.0, f"no interval: {why}")
    low, high = percentile_interval(b - a, drawn)
    least = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    p = 2 * (int(least) + 1) / (drawn.size + 1)
    # All of G subjects favour the same system by chance with probability 2 / 2^G. The p-value must not be smaller.
    return Difference(a, b, low, high, min(1.0, max(p, 2.0 ** (1 - min(units, 1000)))), how)


def _interval_notes(table: ScoreTable) -> Iterator[Note]:
    if not table.by_clusters():
        text = "the intervals assume independent samples, but samples of one person are not independent"
        yield Note(NoteKind.INTERVAL, text)
    elif 2.0 ** (1 - min(table.units())) >= 1 - CONFIDENCE:
        text = f"with {min(table.units())} {table.unit} no difference can be significant"
        yield Note(NoteKind.INTERVAL, text)
