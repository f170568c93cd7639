"""Requirements: limits of error rates, held against exact one-sided bounds, and the presentations that they take."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from facepad.errors import MetricError, unknown_choice
from facepad.files.numbers import parse_decimal
from facepad.metrics.intervals import CONFIDENCE, clopper_pearson
from facepad.metrics.thresholds import Threshold
from facepad.types import Label, Sample, ScoreRecord

__all__ = [
    "Count",
    "Finding",
    "Requirement",
    "Verdict",
    "are_frames",
    "check_requirements",
    "failed",
    "parse_requirements",
    "refuse_frames",
    "upper_bound",
]

_RATES = ("apcer", "bpcer", "iapar")
_TEXT = re.compile(r"([^<=>]*)(<=|<|=|)(.*)", re.DOTALL)
#: A bound that differs from a limit by less is equal to it. Bounds are computed in floating point.
_EQUAL = 1e-12


class Verdict(StrEnum):
    """The result of a requirement.

    ``TOO_FEW``: there is no error, but so few trials do not show the limit. ``NONE``: the requirement sets no limit for
    these trials.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    TOO_FEW = "TOO FEW"
    NONE = "-"


@dataclass(frozen=True, slots=True)
class Requirement:
    """The limit of an error rate.

    Attributes:
        rate: ``apcer`` or ``iapar``, which apply to each PAI species alone, or ``bpcer``.
        limit: The limit, a fraction in [0, 1). With the limit 0, no error is allowed.
        strict: Whether the rate must be below the limit. Otherwise it may be equal.
        least: Number of presentations that must pass without an error, if the limit is 0.
        profile: Name of the profile that holds the requirement (`facepad.metrics.PROFILES`); empty if there is none.
    """

    rate: str
    limit: float
    strict: bool = False
    least: int = 0
    profile: str = ""

    def __str__(self) -> str:
        return f"{self.rate}{'<' if self.strict else '='}{self.limit:g}"

    @property
    def title(self) -> str:
        """The requirement with the name of its profile, such as ``apcer<0.07 (nist-800-63a-4)``."""
        return f"{self} ({self.profile})" if self.profile else str(self)

    def verdict(self, errors: int, n: int) -> Verdict:
        """Judge ``errors`` wrong decisions among ``n`` presentations.

        Raises:
            MetricError: a count is out of range.
        """
        if self.limit == 0:
            met = errors == 0 and n >= self.least
        else:
            met = upper_bound(errors, n) <= self.limit + (-_EQUAL if self.strict else _EQUAL)
        if met:
            return Verdict.PASS
        return Verdict.FAIL if errors else Verdict.TOO_FEW

    def needed(self, errors: int = 0) -> int | None:
        """Return the smallest number of presentations that passes with this number of errors; None if none does."""
        if self.limit == 0:
            return None if errors else max(self.least, 1)
        low = errors  # never enough
        high = errors + 1
        while self.verdict(errors, high) is not Verdict.PASS:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.verdict(errors, middle) is Verdict.PASS else (middle, high)
        return high


@dataclass(frozen=True, slots=True)
class Count:
    """Errors among independent trials, held against a limit.

    Attributes:
        errors: Number of wrong decisions.
        n: Number of trials.
        bound: Exact one-sided 95 % upper bound of the rate, a fraction.
        verdict: ``PASS`` if the requirement is met; otherwise ``TOO_FEW`` without an error, and ``FAIL`` with an
            error. ``NONE`` for subjects if the limit is 0, because such a requirement counts presentations alone.
    """

    errors: int
    n: int
    bound: float
    verdict: Verdict

    @classmethod
    def of(cls, errors: int, n: int, requirement: Requirement) -> Count:
        """Hold ``errors`` among ``n`` trials against a requirement.

        Raises:
            MetricError: a count is out of range.
        """
        return cls(errors, n, upper_bound(errors, n), requirement.verdict(errors, n))

    def to_dict(self) -> dict[str, Any]:
        """Return ``{errors, n, bound, verdict}``; the verdict ``NONE`` is None."""
        verdict = None if self.verdict is Verdict.NONE else self.verdict.value
        return {"errors": self.errors, "n": self.n, "bound": self.bound, "verdict": verdict}


@dataclass(frozen=True, slots=True)
class Finding:
    """A requirement for one PAI species, or for bona fide presentations.

    Attributes:
        requirement: The requirement.
        species: The PAI species; None for bona fide presentations.
        presentations: The count of presentations. Its verdict is that of the requirement.
        subjects: The count of subjects. A subject with one wrong decision counts as an error. None if a presentation
            names no subject.
        unscored: Number of presentations without a score, which are in no count.
        optimistic: Whether the threshold was chosen on these presentations.
        people: The subjects of the counted presentations; empty if a presentation names no subject.
    """

    requirement: Requirement
    species: str | None
    presentations: Count
    subjects: Count | None
    unscored: int
    optimistic: bool = False
    people: frozenset[str] = field(default=frozenset(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as an entry of the JSON document."""
        return {
            "rate": self.requirement.rate,
            "limit": self.requirement.limit,
            "strict": self.requirement.strict,
            "profile": self.requirement.profile or None,
            "species": self.species,
            "presentations": self.presentations.to_dict(),
            "subjects": self.subjects and self.subjects.to_dict(),
            "unscored": self.unscored,
            "optimistic": self.optimistic,
            "needed_without_error": self.requirement.needed(),
        }


def parse_requirements(texts: Iterable[str]) -> tuple[Requirement, ...]:
    """Read requirements such as ``apcer=0.07``. ``<=`` means the same as ``=``, and ``<`` makes a strict limit.

    Raises:
        MetricError: a rate is unknown or named twice, or a limit is no number between 0 and 1.

    >>> [str(each) for each in parse_requirements(["apcer<0.07", "bpcer<=.1"])]
    ['apcer<0.07', 'bpcer=0.1']
    """
    found: dict[str, Requirement] = {}
    for text in texts:
        match = _TEXT.fullmatch(text.lower())
        name, sign, number = (part.strip() for part in match.groups()) if match else ("", "", "")
        if name not in _RATES:
            raise MetricError(unknown_choice("rate of a requirement", name, _RATES))
        if name in found:
            raise MetricError(f"two limits of {name}: {found[name]} and {text}")
        limit = parse_decimal(number)
        if limit is None or not 0 < limit < 1:
            meant = _meant_limit(number)
            form = f"such as {name}=0.07, got {text!r}" if meant is None else f"got {text!r}: write {meant:g}"
            raise MetricError(f"expected a limit between 0 and 1, {form}")
        found[name] = Requirement(name, limit, strict=sign == "<")
    return tuple(found.values())


def _meant_limit(text: str) -> float | None:
    """The limit that a text in percent or with a decimal comma means; None if it means none."""
    number = parse_decimal(text.removesuffix("%").replace(",", "."))
    if number is None:
        return None
    meant = number / 100 if text.endswith("%") else number
    return meant if 0 < meant < 1 else None


def upper_bound(errors: int, n: int) -> float:
    """Return the exact one-sided 95 % upper bound of a proportion (Clopper and Pearson, Biometrika 1934).

    Without a trial the bound is 1.

    >>> round(upper_bound(0, 42), 4)
    0.0688
    """
    return clopper_pearson(errors, n, 2 * CONFIDENCE - 1)[1] if n else 1.0


def check_requirements(
    records: Sequence[ScoreRecord], threshold: float | Threshold, requirements: Sequence[Requirement]
) -> list[Finding]:
    """Hold records against requirements. A record is accepted if its score is at least the threshold.

    Each record is one presentation: an image, or a video whose frames were aggregated.

    Args:
        records: The records.
        threshold: The threshold. A `Threshold` that was chosen on the records makes findings that are optimistic.
        requirements: The requirements.

    Returns:
        For ``bpcer`` one finding, and for the other rates a finding of each PAI species, by name.

    Raises:
        MetricError: a video has several records, there is no attack or no bona fide presentation, or ``iapar`` is
            limited, which needs the decisions of a comparison (`facepad.metrics.check_system`).
    """
    if of_system := [each for each in requirements if each.rate == "iapar"]:
        raise MetricError(f"{of_system[0]} needs the decisions of a comparison: a column match, or --match OTHER.csv")
    if requirements:
        refuse_frames(records)
    limit, optimistic = (
        (threshold.value, threshold.chosen_on_itself) if isinstance(threshold, Threshold) else (threshold, False)
    )
    return [
        replace(_finding(requirement, species, group, limit), optimistic=optimistic)
        for requirement in requirements
        for species, group in _groups(records, requirement)
    ]


def failed(findings: Iterable[Finding]) -> bool:
    """Whether a finding has the verdict ``FAIL`` for presentations."""
    return any(finding.presentations.verdict is Verdict.FAIL for finding in findings)


def refuse_frames(items: Iterable[ScoreRecord | Sample]) -> None:
    """Refuse records or samples that are frames, because a requirement counts presentations.

    Raises:
        MetricError: a video has several records.
    """
    if (most := _most_of_a_video(items)) > 1:
        raise MetricError(
            f"requirements and whole-system rates count presentations, but a video has up to {most} frames here: "
            "aggregate the frames of each video (--level video)"
        )


def are_frames(items: Iterable[ScoreRecord | Sample]) -> bool:
    """Whether a video has several of these records or samples."""
    return _most_of_a_video(items) > 1


def _most_of_a_video(items: Iterable[ScoreRecord | Sample]) -> int:
    videos = Counter((each.split, each.subject, each.video) for each in items if each.video is not None)
    return max(videos.values(), default=0)


def _groups(
    records: Sequence[ScoreRecord], requirement: Requirement
) -> Iterator[tuple[str | None, Sequence[ScoreRecord]]]:
    if requirement.rate == "bpcer":
        if not (live := [record for record in records if record.label is Label.BONA_FIDE]):
            raise MetricError(f"{requirement} cannot be checked: there is no bona fide presentation")
        yield None, live
        return
    species: Mapping[str, list[ScoreRecord]] = defaultdict(list)
    for record in records:
        if record.species is not None:
            species[record.species].append(record)
    if not species:
        raise MetricError(f"{requirement} cannot be checked: there is no attack")
    yield from sorted(species.items())


def _finding(requirement: Requirement, species: str | None, group: Sequence[ScoreRecord], threshold: float) -> Finding:
    wrong = [
        (record.subject, (record.score >= threshold) != (record.label is Label.BONA_FIDE))
        for record in group
        if record.score is not None
    ]
    subjects: dict[str, bool] = {}
    for subject, error in wrong:
        subjects[subject] = error or subjects.get(subject, False)
    of_people = Count.of(sum(subjects.values()), len(subjects), requirement)
    if requirement.limit == 0:
        of_people = replace(of_people, verdict=Verdict.NONE)
    return Finding(
        requirement,
        species,
        Count.of(sum(error for _, error in wrong), len(wrong), requirement),
        of_people if all(subjects) else None,
        len(group) - len(wrong),
        people=frozenset(subjects if all(subjects) else ()),
    )
