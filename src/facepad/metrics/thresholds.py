"""Choice of a decision threshold by a named criterion, and the origin of the threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from facepad.errors import MetricError, unknown_choice
from facepad.files.numbers import parse_decimal
from facepad.metrics.arrays import check_limit, check_threshold
from facepad.metrics.intervals import percentile_interval
from facepad.metrics.notes import Note, NoteKind, has_note, read_notes
from facepad.metrics.ranking import OperatingPoints, rank
from facepad.metrics.resampling import Resampling
from facepad.metrics.scores import scores_sha256
from facepad.metrics.table import ScoreTable, common_split, score_table
from facepad.types import ScoreRecord, Split

__all__ = [
    "CHOSEN_ON_ITSELF",
    "CRITERION_ALIASES",
    "Criterion",
    "Threshold",
    "ThresholdOrigin",
    "choose_threshold",
    "fixed_threshold",
    "parse_criterion",
    "threshold_at",
]

CHOSEN_ON_ITSELF = Note(
    NoteKind.CHOSEN_ON_ITSELF, "chosen on the evaluated scores themselves, so the rates are optimistic"
)
"""The note on a threshold that was chosen on the evaluated scores."""

_DEFAULT_RESAMPLING = Resampling()
CRITERION_ALIASES: Mapping[str, str] = {
    "bpcer10": "bpcer@apcer=0.1",
    "bpcer20": "bpcer@apcer=0.05",
    "bpcer100": "bpcer@apcer=0.01",
}
"""Other names of criteria. The number in the name is 1 / APCER."""

_CHOICES = ("eer", "min-hter", "bpcer@apcer=0.05", "apcer@bpcer=0.05", "a number")


@dataclass(frozen=True, slots=True)
class Criterion:
    """A way to choose a threshold.

    Attributes:
        name: ``eer``, ``min-hter``, ``bpcer@apcer``, ``apcer@bpcer`` or ``fixed``.
        number: The maximum rate of the two ``@`` criteria (a fraction), or the threshold of ``fixed``, else None.
    """

    name: str
    number: float | None = None

    def __str__(self) -> str:
        if self.name == "fixed":
            return f"{self.number:g}"
        return self.name if self.number is None else f"{self.name}={self.number:g}"


def parse_criterion(criterion: str | float) -> Criterion:
    """Parse a criterion.

    Args:
        criterion: ``eer``, ``min-hter``, ``bpcer@apcer=0.05`` (lowest BPCER with an APCER of at most 5 % for
            every instrument), ``apcer@bpcer=0.05`` (lowest APCER with a BPCER of at most 5 %), or a number, which is
            the threshold itself. ``bpcer10``, ``bpcer20`` and ``bpcer100`` are the names of ISO/IEC 30107-3 for
            ``bpcer@apcer`` with 10 %, 5 % and 1 %.

    Raises:
        MetricError: the name is unknown, or the number is out of range.

    >>> parse_criterion("bpcer@apcer=0.05")
    Criterion(name='bpcer@apcer', number=0.05)
    >>> str(parse_criterion("0.5"))
    '0.5'
    """
    text = str(criterion).strip().lower()
    text = CRITERION_ALIASES.get(text, text)
    if text in ("eer", "min-hter"):
        return Criterion(text)
    name, _, limit = text.partition("=")
    if name in ("bpcer@apcer", "apcer@bpcer"):
        return Criterion(name, check_limit(_parse_number(limit, text), name.rpartition("@")[2].upper()))
    return Criterion("fixed", check_threshold(_parse_number(text, text)))


def _parse_number(text: str, whole: str) -> float:
    number = parse_decimal(text)
    if number is None:
        raise MetricError(unknown_choice("criterion", whole, _CHOICES))
    return number


@dataclass(frozen=True, slots=True)
class ThresholdOrigin:
    """The origin of a threshold: the scores on which it was chosen.

    Attributes:
        source: Name of the scores file or data set; "given" for a threshold given as a number.
        split: The split that all scores share, or None.
        n_bona_fide: Number of scored bona fide records.
        n_attack: Number of scored attacks.
        interval: 95 % bootstrap interval of the threshold, or the gap between the classes if the scores are separable.
            None for a threshold given as a number.
        sha256: `scores_sha256` of the records; None for a threshold given as a number.
        separable: Whether all attacks score below all bona fide records.
        notes: Notes for the reader.
    """

    source: str
    split: Split | None = None
    n_bona_fide: int = 0
    n_attack: int = 0
    interval: tuple[float, float] | None = None
    sha256: str | None = None
    separable: bool = False
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold with its criterion and origin.

    Attributes:
        value: The threshold; a sample is accepted when score >= value.
        criterion: The criterion as text, as `parse_criterion` reads it.
        origin: The scores on which the threshold was chosen.
    """

    value: float
    criterion: str
    origin: ThresholdOrigin = field(default_factory=lambda: ThresholdOrigin("given"))

    @property
    def chosen_on_itself(self) -> bool:
        """Whether the threshold was chosen on the scores that it is applied to."""
        return has_note(self.origin.notes, NoteKind.CHOSEN_ON_ITSELF)

    def to_dict(self) -> dict[str, Any]:
        """Return the threshold as plain values for JSON."""
        origin = self.origin
        return {
            "value": self.value,
            "criterion": self.criterion,
            "origin": {
                "source": origin.source,
                "split": None if origin.split is None else origin.split.value,
                "n_bona_fide": origin.n_bona_fide,
                "n_attack": origin.n_attack,
                "interval": None if origin.interval is None else list(origin.interval),
                "sha256": origin.sha256,
                "separable": origin.separable,
                "notes": [note.to_dict() for note in origin.notes],
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a threshold from the result of `to_dict`.

        Raises:
            ValueError: the value, the criterion or a part of the origin is missing or has a wrong type.
        """
        try:
            origin = dict(values["origin"])
            interval, split = origin.pop("interval"), origin.pop("split")
            notes = origin.pop("notes") if "notes" in origin else origin.pop("note")  # older files hold one string
            read = ThresholdOrigin(
                **origin,
                notes=read_notes(notes),
                split=None if split is None else Split(split),
                interval=None if interval is None else (float(interval[0]), float(interval[1])),
            )
            _check_origin(read)
            return cls(check_threshold(float(values["value"])), str(parse_criterion(values["criterion"])), read)
        except (KeyError, IndexError, TypeError, ValueError, MetricError) as error:
            raise ValueError(f"a threshold needs value, criterion and its whole origin ({error})") from error


def _check_origin(origin: ThresholdOrigin) -> None:
    """Refuse an origin from a file whose values have wrong types or ranges.

    Raises:
        ValueError: a value is wrong.
    """
    kinds = {"source": str, "n_bona_fide": int, "n_attack": int, "separable": bool}
    for name, kind in kinds.items():
        value = getattr(origin, name)
        if type(value) is not kind:  # not isinstance: True is an int
            raise ValueError(f"its {name} must be {kind.__name__}, got {type(value).__name__}")
    if not origin.source:
        raise ValueError("its source is empty")
    if not isinstance(origin.sha256, str | None):
        raise ValueError(f"its sha256 must be str or null, got {type(origin.sha256).__name__}")
    if origin.interval is not None and not all(map(math.isfinite, origin.interval)):
        raise ValueError("its interval is not finite")


def fixed_threshold(value: float) -> Threshold:
    """Make a threshold that is given as a number and not chosen on data.

    Raises:
        MetricError: the value is NaN or infinite.
    """
    note = Note(NoteKind.GIVEN, "given as a number, not chosen on data")
    return Threshold(check_threshold(value), str(Criterion("fixed", value)), ThresholdOrigin("given", notes=(note,)))


def threshold_at(
    bona_fide: npt.ArrayLike,
    attack: npt.ArrayLike,
    criterion: str | float = "eer",
    instruments: Sequence[str] | npt.NDArray[np.generic] | None = None,
) -> float:
    """Choose a threshold on scores by a criterion; the same scores always give the same threshold.

    The threshold lies in the middle between the two neighbouring scores that it separates. If all attacks score below
    all bona fide samples, every criterion except a number gives the middle of the gap between the classes.

    Args:
        bona_fide: Scores of bona fide samples, shape (N,).
        attack: Scores of attacks, shape (M,).
        criterion: A criterion as in `parse_criterion`.
        instruments: The instrument of each attack, shape (M,), for ``bpcer@apcer``. None counts all attacks as one
            instrument.

    Raises:
        MetricError: one class has no scores, a score is not finite, or the criterion is unknown.

    >>> threshold_at([0.5, 0.8, 0.9], [0.1, 0.2, 0.3])
    0.4
    """
    wanted = parse_criterion(criterion)
    points = rank(bona_fide, attack, instruments).read()
    return points.threshold(_chosen_point(points, wanted)) if wanted.name != "fixed" else float(wanted.number or 0.0)


def _chosen_point(points: OperatingPoints, criterion: Criterion) -> int:
    separating = points.separating()
    if separating is not None:
        return separating
    if criterion.name == "eer":
        return points.nearest_to_eer()
    if criterion.name == "min-hter":
        return points.lowest_hter()
    limit = criterion.number or 0.0
    return points.lowest_with_apcer(limit) if criterion.name == "bpcer@apcer" else points.highest_with_bpcer(limit)


def choose_threshold(
    records: Sequence[ScoreRecord],
    criterion: str | float = "eer",
    *,
    source: str,
    resampling: Resampling = _DEFAULT_RESAMPLING,
    notes: Sequence[Note] = (),
) -> Threshold:
    """Choose a threshold on records, usually of the dev split, with its origin and 95 % interval.

    Args:
        records: Records of both classes. Records without a score are left out, and a note counts them.
        criterion: A criterion as in `parse_criterion`. A number is the threshold itself.
        source: Name of the scores file or data set, for the origin.
        resampling: Settings of the bootstrap for the interval.
        notes: Notes to copy to the origin.

    Raises:
        MetricError: one class has no scores, the criterion is unknown, or a record does not name its cluster.
    """
    wanted = parse_criterion(criterion)
    if wanted.name == "fixed":
        return fixed_threshold(wanted.number or 0.0)
    table = score_table(records, resampling.cluster_of(records))
    ranking = table.ranking()
    points = ranking.read()
    point = _chosen_point(points, wanted)
    value = points.threshold(point)
    separable = points.separating() is not None
    if separable:
        interval = float(ranking.values[point - 1]), float(ranking.values[point])
    else:
        draws = table.bootstrap(ranking, lambda drawn: (drawn.threshold(_chosen_point(drawn, wanted)),), resampling)
        interval = percentile_interval(value, draws[:, 0])
    n_bona_fide, n_attack = table.n_scored()
    origin = ThresholdOrigin(
        source=source,
        split=common_split(records),
        n_bona_fide=n_bona_fide,
        n_attack=n_attack,
        interval=interval,
        sha256=scores_sha256(records),
        separable=separable,
        notes=(*notes, *_origin_notes(table, point, len(ranking.values), separable)),
    )
    return Threshold(value, str(wanted), origin)


def _origin_notes(table: ScoreTable, point: int, n_values: int, separable: bool) -> Iterator[Note]:
    if separable:
        text = "the scores are separable: every criterion gives the middle of the gap as the threshold"
        yield Note(NoteKind.SEPARABLE, text)
    if point in (0, n_values):
        verb = "accepts" if point == 0 else "rejects"
        yield Note(NoteKind.ONE_SIDED, f"the threshold {verb} every sample that it was chosen on")
    if unscored := int(np.count_nonzero(~table.scored)):
        yield Note(NoteKind.UNSCORED, f"{unscored} of {len(table.scores)} records had no score")
