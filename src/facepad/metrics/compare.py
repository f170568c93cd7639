"""Compare two systems on the same samples, and test whether the difference is significant."""

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
from facepad.types import ScoreRecord, Split

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

_DEFAULT = Resampling(replicates=2000)
_Flags = npt.NDArray[np.bool_]


def compared_measures() -> list[Measure]:
    """The measures that a comparison holds, in its order: of the scores themselves, then at each system's threshold."""
    return [measure for measure in measures_of(Basis.SCORES, Basis.THRESHOLD) if measure.compared]


@dataclass(frozen=True, slots=True)
class System:
    """One of the two systems that are compared.

    Attributes:
        name: For the reader.
        records: Its scores, of one split.
        threshold: Accept when score >= its value.
    """

    name: str
    records: Sequence[ScoreRecord]
    threshold: Threshold


@dataclass(frozen=True, slots=True)
class McNemar:
    """Right decisions of two systems on the same samples, and McNemar's exact test.

    Attributes:
        both_right: Samples that both decide rightly.
        only_a: Samples that only A decides rightly.
        only_b: Samples that only B decides rightly.
        both_wrong: Samples that both decide wrongly.
        p: Chance of a split of ``only_a`` and ``only_b`` at least as uneven if both were equally good.
    """

    both_right: int
    only_a: int
    only_b: int
    both_wrong: int
    p: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure of both systems, fractions in [0, 1].

    Attributes:
        a: The measure of the first system.
        b: The measure of the second system.
        low: Lower end of the 95 % interval of ``b - a``; None when resampling cannot tell.
        high: Upper end of that interval.
        p: Two-sided p-value of "no difference"; None when resampling cannot tell.
        method: How interval and p-value were made, or why there are none.
    """

    a: float
    b: float
    low: float | None
    high: float | None
    p: float | None
    method: str

    @property
    def difference(self) -> float:
        """``b - a``: negative when the second system errs less."""
        return self.b - self.a

    @property
    def significant(self) -> bool:
        """Whether the difference is more than chance."""
        return self.p is not None and self.p < 1 - CONFIDENCE


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems compared: the result of `compare_records`.

    Attributes:
        names: The names of both systems.
        thresholds: The thresholds of both systems.
        split: The split of the compared samples, or None.
        n_bona_fide: Bona fide samples that both systems scored.
        n_attack: Attacks that both systems scored.
        only_a: Samples that the second system does not have.
        only_b: Samples that the first system does not have.
        unscored: Shared samples without a score by A only, by B only, by both.
        differences: `Difference` of each of `compared_measures`, by key.
        decisions: `McNemar` of ``all`` samples, of the ``bona_fide`` and of the ``attack`` samples.
        cluster: The unit that was resampled; None for single samples.
        n_clusters: Number of clusters (0 for single samples).
        bootstrap: Number of resamples.
        seed: Seed of the resamples.
        aggregation: How the frames of a video were aggregated; None when samples are frames.
        notes: What else a reader must know.
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
        """Plain values for JSON; rates and differences are fractions, None is not defined."""
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
    resampling: Resampling = _DEFAULT,
) -> Comparison:
    """Compare the test scores of two systems, each at the threshold that its own dev scores choose.

    Args:
        a: Scores of the first system.
        b: Scores of the second system, on the same samples.
        criterion: As in `parse_criterion`; a number becomes the threshold of both.
        aggregation: Compare videos: each system's frames are aggregated first, so both may have scored other frames.
        resampling: How intervals are made.

    Raises:
        ScoresError: a file breaks its contract, or both do not describe the same samples.
        MetricError: one class has no scores, or an unknown criterion or aggregation.
    """
    one, other = (parts_of(Path(path), aggregation=aggregation) for path in (a, b))
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
    resampling: Resampling = _DEFAULT,
    notes: Sequence[Note] = (),
) -> Comparison:
    """Compare two systems on the samples that both scored.

    Both are measured on the same resamples of subjects (or videos), so what makes a subject hard for both cancels.

    Args:
        a: The first system.
        b: The second system; samples are matched by path and frame.
        aggregation: How the records were aggregated, where they are videos; the comparison names it.
        resampling: How intervals are made.
        notes: Notes to keep.

    Raises:
        ScoresError: a sample occurs twice, none is shared, or both systems describe a sample differently.
        MetricError: the samples that both scored are of one class.
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
    """McNemar's exact test of paired decisions (McNemar, Psychometrika 1947; exact binomial form).

    Only samples on which the systems differ count. If both are equally good, each wins such a sample with probability
    1/2. The test takes samples as independent.

    Args:
        right_a: Whether the first system decided each sample rightly, bool, shape (N,).
        right_b: The same of the second system, shape (N,).

    >>> mcnemar([True, True, True, False], [False, False, False, True]).p
    0.625
    """
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    if a.shape != b.shape:
        raise MetricError(f"expected decisions on the same samples, got shapes {a.shape} and {b.shape}")
    both, only_a, only_b = (int(np.count_nonzero(flags)) for flags in (a & b, a & ~b, ~a & b))
    from scipy.stats import binomtest  # only here: it takes a second to import, and nothing else needs it

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
    # One seed and one order of the samples: row r of both systems is the same resample.
    (values_a, draws_a), (values_b, draws_b) = (
        _measured(table, threshold.value, measures, resampling)
        for table, threshold in zip(tables, thresholds, strict=True)
    )
    table, drawn = tables[0], draws_b - draws_a
    clustered = table.by_clusters()
    how = f"bootstrap over {table.n_clusters} {table.unit}" if clustered else f"bootstrap, assumes independent {level}"
    return {
        measure.key: _difference(values_a[at], values_b[at], drawn[:, at], _units(table, measure), how)
        for at, measure in enumerate(measures)
    }


def _measured(
    table: ScoreTable, threshold: float, measures: Sequence[Measure], resampling: Resampling
) -> tuple[list[float], Floats]:
    """M measures of a system's scores, and the same in each of B resamples, shape (B, M)."""
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


def _units(table: ScoreTable, measure: Measure) -> int:
    """How many subjects, videos or samples the measure rests on: those of the class with the fewest that it counts."""
    bona_fide, attack = table.units()
    if isinstance(measure.rate, Curve):
        return min(bona_fide, attack)
    whole = sum(quotient.whole for quotient in measure.rate.quotients(2))
    return min(n for n, counted in zip((attack, bona_fide), np.any(whole, axis=1), strict=True) if counted)


def _difference(a: float, b: float, drawn: Floats, units: int, how: str) -> Difference:
    """One measure's difference; ``drawn`` holds ``b - a`` of each resample, NaN where it is not defined, shape (B,)."""
    drawn = drawn[~np.isnan(drawn)]
    if drawn.size == 0:
        return Difference(a, b, None, None, None, "not defined: no resample holds both classes")
    if a == b and a in (0.0, 1.0) and not drawn.any():
        return Difference(a, b, None, None, 1.0, f"no interval: {'neither errs' if a == 0 else 'both always err'}")
    low, high = percentile_interval(b - a, drawn)
    least = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    p = 2 * (int(least) + 1) / (drawn.size + 1)
    # By chance alone, all of G subjects favour the same system with probability 2 / 2^G: no p-value is smaller.
    return Difference(a, b, low, high, min(1.0, max(p, 2.0 ** (1 - min(units, 1000)))), how)


def _interval_notes(table: ScoreTable) -> Iterator[Note]:
    if not table.by_clusters():
        text = "the intervals take the samples as independent; those of one person are not"
        yield Note(NoteKind.INTERVAL, text)
    elif 2.0 ** (1 - min(table.units())) >= 1 - CONFIDENCE:
        text = f"with {min(table.units())} {table.unit} no difference can be told from chance"
        yield Note(NoteKind.INTERVAL, text)
