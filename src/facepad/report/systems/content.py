"""The content of a report on several systems: their measures, and the tests of the differences between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self, cast

from facepad.errors import InputError
from facepad.metrics import Comparison, ExpectedCurve, Finding, Rate, WholeSystem, findings_dict
from facepad.metrics.times import DecisionTimes
from facepad.report.content import ReportContent
from facepad.types import Aggregation, Label

__all__ = ["MeasuredSystem", "PairTest", "ReportOptions", "SystemFiles", "SystemsContent", "named_files"]


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """The options of a report.

    Attributes:
        criterion: The criterion of the thresholds, as `parse_criterion` reads it.
        aggregation: Aggregation of the frames of a video; None measures frames.
        higher_is: The meaning of high scores in all files.
        require: Requirements to hold against each system, such as ``apcer=0.07``.
        profile: Names of profiles of requirements.
        match_threshold: The lowest accepted comparison score, if the comparisons are scores.
        by: The attributes whose groups are measured.
    """

    criterion: str = "eer"
    aggregation: Aggregation | None = None
    higher_is: Label = Label.BONA_FIDE
    require: tuple[str, ...] = ()
    profile: tuple[str, ...] = ()
    match_threshold: float | None = None
    by: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values for JSON."""
        return asdict(self) | {
            "higher_is": self.higher_is.value,
            "require": list(self.require),
            "profile": list(self.profile),
            "by": list(self.by),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make options from the result of `to_dict`.

        Raises:
            ValueError: a value is missing, or has a wrong type.
        """
        try:
            return cls(
                criterion=str(values["criterion"]),
                aggregation=cast("Aggregation | None", None if (how := values["aggregation"]) is None else str(how)),
                higher_is=Label(values["higher_is"]),
                require=tuple(map(str, values["require"])),
                profile=tuple(map(str, values["profile"])),
                match_threshold=None if (limit := values["match_threshold"]) is None else float(limit),
                by=tuple(map(str, values["by"])),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"its options are not complete ({error})") from error


@dataclass(frozen=True, slots=True)
class SystemFiles:
    """The files of one system.

    Attributes:
        name: Name of the system in the report.
        scores: Its scores file.
        dev: A second scores file, whose dev lines choose the threshold; None without one.
        match: The scores file of a comparison with the claimed identity (`facepad.metrics.system_of`); None takes the
            column ``match`` of the scores file, if it has one.
    """

    name: str
    scores: Path
    dev: Path | None = None
    match: Path | None = None


def named_files(scores: Sequence[Path], dev: Sequence[Path] = (), match: Sequence[Path] = ()) -> list[SystemFiles]:
    """Name the systems after their files, or after the different parts of the paths if files have the same name.

    Args:
        scores: The scores file of each system.
        dev: The second scores file of each system, in the same order; empty without second files.
        match: The scores file of a comparison: one for all systems, or one for each in the same order; empty without
            such files.

    Raises:
        InputError: a scores file is given twice, or the numbers of files differ.

    >>> [each.name for each in named_files([Path("a/scores.csv"), Path("b/scores.csv")])]
    ['a', 'b']
    >>> [each.name for each in named_files([Path("x/a/test/scores.csv"), Path("x/b/test/scores.csv")])]
    ['a', 'b']
    """
    if dev and len(dev) != len(scores):
        raise InputError(f"expected one --dev for each scores file, in order, got {len(dev)} for {len(scores)}")
    if len(match) not in (0, 1, len(scores)):
        wanted = f"expected one --match for all {len(scores)} scores files, or one for each, in order"
        raise InputError(f"{wanted}; got {len(match)}")
    if len({path.resolve() for path in scores}) < len(scores):
        raise InputError("expected each scores file once")
    names = [path.stem for path in scores]
    if len(set(names)) < len(names):
        names = _different_parts(scores)
    none: list[Path | None] = [None] * len(scores)
    matches = list(match) * len(scores) if len(match) == 1 else match
    return [SystemFiles(*files) for files in zip(names, scores, dev or none, matches or none, strict=True)]


def _different_parts(paths: Sequence[Path]) -> list[str]:
    """The parts of different paths that are left without the first and the last parts that all paths share."""
    rests = [list(path.resolve().parts) for path in paths]
    for end in (-1, 0):
        while all(len(rest) > 1 for rest in rests) and len({rest[end] for rest in rests}) == 1:
            for rest in rests:
                del rest[end]
    return ["/".join(rest) for rest in rests]


@dataclass(frozen=True, eq=False)
class MeasuredSystem:
    """One system with its measures.

    Attributes:
        files: The files of the system.
        content: The metrics at the threshold, with the scores and the threshold.
        field: Key of each of `FIELD_MEASURES` -> rate.
        times: The decision times; None if the file has no times.
        whole: The rates of detection and comparison together; None without a comparison.
        curve: The expected performance and spoofability curve; None without comparison scores on dev and test.
    """

    files: SystemFiles
    content: ReportContent
    field: Mapping[str, Rate]
    times: DecisionTimes | None = None
    whole: WholeSystem | None = None
    curve: ExpectedCurve | None = None

    @property
    def name(self) -> str:
        """Name of the system."""
        return self.files.name

    def to_dict(self) -> dict[str, Any]:
        """Return the measures as plain values for JSON."""
        return {
            "name": self.name,
            "metrics": self.content.summary.to_dict(),
            "field": {key: rate.to_dict() | {"method": rate.method} for key, rate in self.field.items()},
            "times": self.times and self.times.to_dict(),
            "whole_system": self.whole and self.whole.to_dict() | {"epsc": self.curve and self.curve.to_dict()},
            **findings_dict(self.content.findings),
        }


@dataclass(frozen=True, eq=False)
class PairTest:
    """The test of two systems on the presentations that both scored.

    Attributes:
        names: The names of both systems.
        comparison: The differences with their tests; None if the systems cannot be compared.
        adjusted: Key of a measure, or ``mcnemar`` -> p-value after Holm's correction for all pairs of systems; None
            for a p-value that is not defined.
        reason: The reason why the systems cannot be compared; empty if they can.
    """

    names: tuple[str, str]
    comparison: Comparison | None
    adjusted: Mapping[str, float | None] = field(default_factory=dict)
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the test as plain values for JSON."""
        return {
            "systems": list(self.names),
            "comparison": self.comparison and self.comparison.to_dict(),
            "p_holm": dict(self.adjusted),
            "reason": self.reason,
        }


@dataclass(frozen=True)
class SystemsContent:
    """The content of a report on one or more systems.

    Attributes:
        systems: The systems, in the order of the tables.
        tests: The test of each pair of systems.
        options: The options of the report.
    """

    systems: Sequence[MeasuredSystem]
    tests: Sequence[PairTest]
    options: ReportOptions

    @property
    def findings(self) -> list[Finding]:
        """The findings on requirements, of all systems."""
        return [finding for system in self.systems for finding in system.content.findings]

    @property
    def thresholds(self) -> dict[str, float]:
        """Name of each system -> threshold."""
        return {system.name: system.content.threshold.value for system in self.systems}

    @property
    def title(self) -> str:
        """Title of the page."""
        return f"Presentation attack detection: {', '.join(system.name for system in self.systems)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the content of report.json."""
        return {
            "format": 1,
            "options": self.options.to_dict(),
            "systems": [system.to_dict() for system in self.systems],
            "tests": [test.to_dict() for test in self.tests],
        }
