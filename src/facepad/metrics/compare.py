"""Two systems on the same samples: is one better, and by more than chance?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError
from facepad.metrics.arrays import Floats
from facepad.metrics.from_file import parts_of
from facepad.metrics.intervals import CONFIDENCE, check_bootstrap, percentile_interval
from facepad.metrics.levels import Aggregation
from facepad.metrics.pairs import Pair, matched
from facepad.metrics.ranking import Operating
from facepad.metrics.table import Cluster, ScoreTable, best_cluster, common_split, score_table
from facepad.metrics.thresholds import Threshold
from facepad.types import Label, ScoreRecord, Split

__all__ = ["MEASURES", "Comparison", "Difference", "McNemar", "compare_files", "compare_records", "mcnemar"]

#: What is compared, in the order of `_reader`: EER of the scores themselves, then rates at each system's threshold.
MEASURES = ("eer", "apcer", "bpcer", "acer")
_Flags = npt.NDArray[np.bool_]


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
        a: Of the first system.
        b: Of the second system.
        low: Lower end of the 95 % interval of ``b - a``; None when resampling cannot tell.
        high: Upper end.
        p: Two-sided, of "no difference"; None when resampling cannot tell.
        method: How interval and p were made, or why there are none.
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
    """What `compare_records` found.

    Attributes:
        names: Of both systems.
        thresholds: Of both systems, each chosen on its own scores.
        split: The split of the compared samples, or None.
        n_bona_fide: Bona fide samples that both systems scored.
        n_attack: Attacks that both systems scored.
        only_a: Samples that the second system does not have.
        only_b: Samples that the first system does not have.
        unscored: Shared samples without a score by A only, by B only, by both.
        differences: `Difference` of each of `MEASURES`.
        decisions: `McNemar` of ``all`` samples, of the ``bona_fide`` and of the ``attack`` samples.
        cluster: What was resampled; None when samples counted one by one.
        n_clusters: How many there are (0 without).
        bootstrap: Number of resamples.
        seed: Seed of the resamples.
        aggregation: How the frames of a video were aggregated; None when samples are frames.
        notes: What else a reader must know, one line each.
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
    notes: tuple[str, ...]

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
            "notes": list(self.notes),
        }


def compare_files(
    a: Path,
    b: Path,
    criterion: str | float = "eer",
    *,
    aggregation: Aggregation | None = None,
    cluster: Cluster | Literal["auto"] | None = "auto",
    bootstrap: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare the test scores of two systems, each at the threshold that its own dev scores choose.

    Args:
        a: Scores of the first system.
        b: Scores of the second system, on the same samples.
        criterion: As in `parse_criterion`; a number is taken as the threshold of both.
        aggregation: Compare videos: each system's frames are aggregated first, so both may have scored other frames.
        cluster: "subject" or "video" to resample those; None counts samples as independent; "auto" takes the widest
            that is named.
        bootstrap: Number of resamples.
        seed: Seed of the resamples.

    Raises:
        ScoresError: a file breaks its contract, or both do not describe the same samples.
        MetricError: one class has no scores, or an unknown criterion or aggregation.
    """
    parts = [parts_of(Path(path), aggregation=aggregation) for path in (a, b)]
    thresholds = [part.threshold(criterion, seed=seed) for part in parts]
    notes = [f"{name}: {line}" for name, part in zip("AB", parts, strict=True) for line in part.notes]
    return compare_records(
        parts[0].measured,
        parts[1].measured,
        (thresholds[0], thresholds[1]),
        names=(str(a), str(b)),
        aggregation=aggregation,
        cluster=cluster,
        bootstrap=bootstrap,
        seed=seed,
        notes=notes,
    )


def compare_records(
    a: Sequence[ScoreRecord],
    b: Sequence[ScoreRecord],
    thresholds: tuple[Threshold, Threshold],
    *,
    names: tuple[str, str] = ("A", "B"),
    aggregation: Aggregation | None = None,
    cluster: Cluster | Literal["auto"] | None = "auto",
    bootstrap: int = 2000,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Comparison:
    """Compare two systems on the samples that both scored.

    Both are measured on the same resamples of subjects (or videos), so what makes a subject hard for both cancels.

    Args:
        a: Records of the first system, of one split.
        b: Records of the second system; samples are matched by path and frame.
        thresholds: Of both systems.
        names: Of both systems, for the reader.
        aggregation: How the records were aggregated, where they are videos; it is only remembered here.
        cluster: "subject" or "video" to resample those; None counts samples as independent; "auto" takes the widest
            that is named.
        bootstrap: Number of resamples.
        seed: Seed of the resamples.
        notes: Lines to keep.

    Raises:
        ScoresError: a sample occurs twice, none is shared, or both systems say otherwise what a sample is.
        MetricError: the samples that both scored are of one class.
    """
    check_bootstrap(bootstrap)
    shared = matched(a, b)
    pairs = [(one, other) for one, other in shared if one.score is not None and other.score is not None]
    missing = Counter((one.score is None, other.score is None) for one, other in shared)
    _check_classes(pairs)
    sides = [[pair[place] for pair in pairs] for place in (0, 1)]
    unit = best_cluster(sides[0]) if cluster == "auto" else cluster
    tables = [score_table(side, unit) for side in sides]
    decisions = _decisions(tables, thresholds)
    differences = _differences(tables, thresholds, "videos" if aggregation else "frames", bootstrap, seed)
    n_bona_fide, n_attack = tables[0].n_scored()
    return Comparison(
        names=names,
        thresholds=thresholds,
        split=common_split(sides[0]),
        n_bona_fide=n_bona_fide,
        n_attack=n_attack,
        only_a=len(a) - len(shared),
        only_b=len(b) - len(shared),
        unscored=(missing[True, False], missing[False, True], missing[True, True]),
        differences=differences,
        decisions=decisions,
        cluster=unit,
        n_clusters=tables[0].n_clusters,
        bootstrap=bootstrap,
        seed=seed,
        aggregation=aggregation,
        notes=(*notes, *_remarks(tables[0])),
    )


def _check_classes(pairs: Sequence[Pair]) -> None:
    counts = Counter(one.label for one, _ in pairs)
    if min(counts[label] for label in Label) == 0:
        raise MetricError(
            f"a comparison needs samples of both classes that both systems scored, got {counts[Label.BONA_FIDE]} bona "
            f"fide and {counts[Label.ATTACK]} attacks"
        )


def mcnemar(right_a: npt.ArrayLike, right_b: npt.ArrayLike) -> McNemar:
    """McNemar's exact test of paired decisions (McNemar, Psychometrika 1947; exact binomial form).

    Only samples on which the systems differ count; were both equally good, each would win such a sample by a coin's
    toss. The test takes samples as independent.

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
    return McNemar(both, only_a, only_b, a.size - both - only_a - only_b, _coin_p(only_a, only_b))


def _coin_p(heads: int, tails: int) -> float:
    """Two-sided chance of a count at least as uneven in ``heads + tails`` tosses; whole numbers keep it exact."""
    n, ways, total = heads + tails, 1, 0
    for k in range(min(heads, tails) + 1):
        total += ways
        ways = ways * (n - k) // (k + 1)
    return min(1.0, 2 * total / (1 << n))


def _decisions(tables: Sequence[ScoreTable], thresholds: tuple[Threshold, Threshold]) -> dict[str, McNemar]:
    bona_fide = tables[0].kinds == len(tables[0].instruments)
    right: list[_Flags] = [
        (table.scores >= threshold.value) == bona_fide for table, threshold in zip(tables, thresholds, strict=True)
    ]
    groups = {"all": np.full(bona_fide.shape, True), "bona_fide": bona_fide, "attack": ~bona_fide}
    return {name: mcnemar(right[0][group], right[1][group]) for name, group in groups.items()}


def _reader(threshold: float) -> Callable[[Operating], tuple[float, float, float, float]]:
    """Reads `MEASURES` off (resampled) scores."""

    def read(points: Operating) -> tuple[float, float, float, float]:
        point = int(np.searchsorted(points.ranking.values, threshold))
        bpcer = points.rejected(point) / points.n_bona_fide
        sides = zip(points.ranking.instruments, points.instruments, strict=True)
        apcer = max((total[-1] - total[side.below[point]]) / total[-1] for side, total in sides if total[-1])
        return points.eer(), float(apcer), bpcer, (float(apcer) + bpcer) / 2

    return read


def _differences(
    tables: Sequence[ScoreTable], thresholds: tuple[Threshold, Threshold], level: str, replicates: int, seed: int
) -> dict[str, Difference]:
    values, draws = [], []
    for table, threshold in zip(tables, thresholds, strict=True):
        ranking, read = table.ranking(), _reader(threshold.value)
        values.append(read(ranking.read()))
        # One seed and one order of the samples: row r of both systems is the same resample.
        draws.append(table.bootstrap(ranking, read, replicates, seed))
    table = tables[0]
    clustered, (bona_fide, attack) = table.by_clusters(), table.units()
    units = {"eer": min(bona_fide, attack), "apcer": attack, "bpcer": bona_fide, "acer": min(bona_fide, attack)}
    how = f"bootstrap over {table.n_clusters} {table.unit}" if clustered else f"bootstrap, assumes independent {level}"
    return {
        name: _difference(values[0][at], values[1][at], draws[1][:, at] - draws[0][:, at], units[name], how)
        for at, name in enumerate(MEASURES)
    }


def _difference(a: float, b: float, drawn: Floats, units: int, how: str) -> Difference:
    """One measure's difference; ``drawn`` is ``b - a`` in each resample, NaN where it is not defined, shape (B,)."""
    drawn = drawn[~np.isnan(drawn)]
    if drawn.size == 0:
        return Difference(a, b, None, None, None, "not defined: no resample holds both classes")
    if a == b and a in (0.0, 1.0) and not drawn.any():
        return Difference(a, b, None, None, 1.0, f"no interval: {'neither errs' if a == 0 else 'both always err'}")
    low, high = percentile_interval(b - a, drawn)
    least = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    p = 2 * (int(least) + 1) / (drawn.size + 1)
    # However clear each subject speaks, G of them all agree by a coin's toss with a chance of 2 / 2^G.
    return Difference(a, b, low, high, min(1.0, max(p, 2.0 ** (1 - min(units, 1000)))), how)


def _remarks(table: ScoreTable) -> Iterator[str]:
    if not table.by_clusters():
        yield "the intervals take the samples as independent; those of one person are not"
    elif 2.0 ** (1 - min(table.units())) >= 1 - CONFIDENCE:
        yield f"with {min(table.units())} {table.unit} no difference can be told from chance"
