"""The content of the report of an adaptation: what to expect of new people, and the evidence for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from facepad.metrics import Finding, GroupComparison, Rate
from facepad.report.content import ReportContent

__all__ = ["AdaptContent", "CandidateResult", "CurvePoint", "LearningCurve", "Outlook", "SiteFinding"]


class SiteFinding(Protocol):
    """One finding about the images of a site."""

    @property
    def severity(self) -> str:
        """``stop``, ``short-cut``, ``warning`` or ``note``."""

    @property
    def text(self) -> str:
        """One line: the fact, and the remedy."""

    @property
    def evidence(self) -> Sequence[str]:
        """Numbers and file names, one line each."""


@dataclass(frozen=True, slots=True)
class CandidateResult:
    """The result of one candidate on people whom its training did not see.

    Attributes:
        name: Name of the candidate.
        title: One line that describes the candidate.
        kind: ``as-is``, ``trained`` or ``fused``.
        acer: ACER at thresholds that were chosen on other people.
        fold_eer: Mean of the folds' EERs, a fraction. The choice goes by this figure.
        size: Bytes of the networks.
        seconds: Measured seconds of all fits and scores, of a fusion those of its members; None if unknown.
    """

    name: str
    title: str
    kind: str
    acer: Rate
    fold_eer: float
    size: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The error after training on a number of people.

    Attributes:
        people: Number of people in each training.
        acer: ACER on people whom the training did not see.
        fits: Number of trainings, each on a different set of people.
    """

    people: int
    acer: Rate
    fits: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """The error to expect after training on more people.

    Attributes:
        more: Number of people in addition to the people of the last point of the curve.
        acer: Extrapolated ACER with its interval.
    """

    more: int
    acer: Rate


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """The error against the number of people, and its extrapolation.

    Attributes:
        points: The measured points, by increasing number of people. The last point is the cross-validation itself.
            Empty if nothing was trained.
        outlook: The extrapolations, by increasing number of people.
        missing: Reason why there is no extrapolation; empty with an extrapolation.
        left_out: Which refits were left out and why; empty if none was.
    """

    points: tuple[CurvePoint, ...]
    outlook: tuple[Outlook, ...] = ()
    missing: str = ""
    left_out: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The curve as plain values for JSON."""
        return {
            "points": [{"people": at.people, "fits": at.fits, "acer": at.acer.to_dict()} for at in self.points],
            "outlook": [{"more_people": at.more, "acer": at.acer.to_dict()} for at in self.outlook],
            "missing": self.missing,
            "left_out": self.left_out,
        }


@dataclass(frozen=True)
class AdaptContent:
    """The content of the report of an adaptation.

    Attributes:
        expected: ``apcer`` (worst kind), ``bpcer`` and ``acer`` to expect of new people, by name. Each fold was decided
            at a threshold that was chosen on the other folds.
        kinds: APCER to expect of new people, for each kind of attack.
        scores: The pooled out-of-fold scores at the threshold of the model file, with the short-cut probes and the
            folder of the images.
        winner: Name of the chosen candidate.
        rule: The rule of the choice, in words.
        candidates: The results of all candidates: the chosen one, then the others by their error.
        left_out: Name of a candidate -> reason why it has no result.
        findings: The findings on the site's images, the most severe first.
        curve: The error against the number of people.
        folds: Number of folds; 0 if no network could be trained.
        people: Number of people.
        notes: Limitations of the result.
        collect: What to collect next, one line each.
        facts: How the model was made, by name.
        card: Further lines of the model card, such as the licence.
        requirements: The findings on requirements.
        groups: Rates and gaps of groups of people, by the decisions of ``expected``; None without groups.
    """

    expected: Mapping[str, Rate]
    kinds: Mapping[str, Rate]
    scores: ReportContent
    winner: str
    rule: str
    candidates: Sequence[CandidateResult]
    left_out: Mapping[str, str]
    findings: Sequence[SiteFinding]
    curve: LearningCurve
    folds: int
    people: int
    notes: Sequence[str] = ()
    collect: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    card: Mapping[str, str] = field(default_factory=dict)
    requirements: Sequence[Finding] = ()
    groups: GroupComparison | None = None

    @property
    def title(self) -> str:
        """Title of the page."""
        return self.scores.title
