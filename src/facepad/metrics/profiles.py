"""Profiles: the requirements of published schemes, with their sources and with what they leave out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from facepad.errors import MetricError, number_of, unknown_choice
from facepad.metrics.requirements import Finding, Requirement, Verdict, parse_requirements

__all__ = [
    "PROFILES",
    "Profile",
    "ProfileResult",
    "findings_dict",
    "profile_notes",
    "profile_results",
    "read_requirements",
]


@dataclass(frozen=True, slots=True)
class Profile:
    """The requirements of a published scheme.

    Attributes:
        title: The scheme, and its requirement in short.
        source: Document, version and section.
        requirements: The requirements.
        covers: What the profile holds against the scores, as sentences.
        missing: What the scheme asks for and the profile does not cover, as sentences.
        species: Number of PAI species that the scheme presents; None if the document decides.
    """

    title: str
    source: str
    requirements: tuple[Requirement, ...]
    covers: str
    missing: str
    species: int | None = None


@dataclass(frozen=True, slots=True)
class ProfileResult:
    """The verdict on a profile as a whole.

    Attributes:
        profile: Name of the profile.
        verdict: The worst verdict of the parts of the profile: its findings, and the number of PAI species, which is
            ``TOO_FEW`` if the scheme presents more.
        reasons: Each part that does not pass in words, failed parts first. If the profile counts presentations alone,
            the last text names the presentations and their people, whatever the verdict.
    """

    profile: str
    verdict: Verdict
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return ``{profile, verdict, reasons}``."""
        return {"profile": self.profile, "verdict": self.verdict.value, "reasons": list(self.reasons)}


_IAPAR = (
    "IAPAR counts attacks that the whole system accepts. Without the decisions of a comparison (--match), APCER is "
    "held against its limit: APCER counts attacks that the detection accepts, and is never lower. The upper bound is "
    "held against the limit, which asks for more than a measured rate below it. FAIL of APCER does not show that IAPAR "
    "is above the limit."
)
_LABORATORY = (
    "An accredited laboratory chooses and makes the artefacts, and presents them. The species of a file are not those "
    "of the scheme."
)
_IBETA = "iBeta, ISO/IEC 30107-3 presentation attack detection: table of levels and confirmation letters (ibeta.com)"

PROFILES = {
    "nist-800-63a-4": Profile(
        title="NIST SP 800-63A-4, remote identity proofing: IAPAR < 0.07",
        source="NIST SP 800-63A-4, Identity Proofing and Enrollment (July 2025), section 3.11",
        requirements=(Requirement("apcer", 0.07, strict=True),),
        covers=f"Presentation attacks on biometrics that are captured remotely. {_IAPAR}",
        missing="Conformance of the test to ISO/IEC 30107-3:2023, FMR, FNMR, differences between groups, injection "
        "attacks and forged documents.",
    ),
    "fido-biometric": Profile(
        title="FIDO biometric component certification: IAPAR < 7 % of each PAI species",
        source="FIDO Biometrics Requirements v4.0 (22 May 2024), IAPAR; both limits: FIDO Metadata Statement v3.1 "
        "(21 May 2025), BiometricAccuracyDescriptor, iAPARThreshold",
        requirements=(Requirement("apcer", 0.07, strict=True),),
        covers=f"Each PAI species alone. {_IAPAR} A component can also be certified below 15 % (--require apcer=0.15).",
        missing=f"{_LABORATORY} FRR, FAR with its rule of 3, and the numbers of species, subjects and presentations: "
        "see the document.",
    ),
    "ibeta-level-1": Profile(
        title="iBeta level 1: no attack accepted, 150 presentations of each of 6 PAI species",
        source=_IBETA,
        requirements=(Requirement("apcer", 0, least=150),),
        covers="Attacks that take no expertise, with things of a normal home or office: 0 % of them are accepted.",
        missing=f"{_LABORATORY} Subjects, bona fide presentations and the limit of BPCER: see iBeta's documents.",
        species=6,
    ),
    "ibeta-level-2": Profile(
        title="iBeta level 2: no attack accepted, 150 presentations of each of 5 PAI species",
        source=_IBETA,
        requirements=(Requirement("apcer", 0, least=150),),
        covers="Attacks that take moderate expertise and dearer artefacts, such as masks. This profile allows no "
        "error; for the level's own limit see iBeta's table of levels.",
        missing=f"{_LABORATORY} Subjects, bona fide presentations and the limit of BPCER: see iBeta's documents.",
        species=5,
    ),
}
"""The profiles by name. The numbers are those of the source on the date of the source; the document decides."""


def read_requirements(texts: Iterable[str] = (), profiles: Iterable[str] = ()) -> tuple[Requirement, ...]:
    """Read requirements such as ``apcer=0.07``, and add the requirements of profiles.

    Raises:
        MetricError: a rate or profile is unknown or named twice, or a limit is not a number between 0 and 1.

    >>> [str(each) for each in read_requirements(["bpcer=.1"], ["nist-800-63a-4"])]
    ['bpcer=0.1', 'apcer<0.07']
    """
    found = list(parse_requirements(texts))
    for name in (named := list(profiles)):
        if name not in PROFILES:
            raise MetricError(unknown_choice("profile", name, PROFILES))
        if named.count(name) > 1:
            raise MetricError(f"profile {name} is named twice")
        found += [replace(each, profile=name) for each in PROFILES[name].requirements]
    return tuple(found)


def profile_results(findings: Sequence[Finding]) -> list[ProfileResult]:
    """Judge each profile of the findings as a whole.

    Args:
        findings: The findings on the decisions of one system on one set of presentations.
    """
    return [
        _result(name, [each for each in findings if each.requirement.profile == name]) for name in _profiles(findings)
    ]


def _profiles(findings: Iterable[Finding]) -> list[str]:
    return list(dict.fromkeys(name for each in findings if (name := each.requirement.profile)))


def _result(name: str, findings: Sequence[Finding]) -> ProfileResult:
    parts = [(each.presentations.verdict, _words(each)) for each in findings]
    species, wanted = len({each.species for each in findings} - {None}), PROFILES[name].species
    if wanted is not None and species < wanted:
        parts.insert(0, (Verdict.TOO_FEW, f"{species} of {wanted} PAI species"))
    worst_first = [part for verdict in (Verdict.FAIL, Verdict.TOO_FEW) for part in parts if part[0] is verdict]
    verdict = worst_first[0][0] if worst_first else Verdict.PASS
    return ProfileResult(name, verdict, (*(text for _, text in worst_first), *_people(findings)))


def _people(findings: Sequence[Finding]) -> Iterator[str]:
    """The people behind the presentations, if no requirement limits a rate, so that no bound speaks of people."""
    if any(each.requirement.limit for each in findings):
        return
    total = number_of(sum(each.presentations.n for each in findings), "presentation")
    if people := frozenset[str]().union(*(each.people for each in findings)):
        known = all(each.people or not each.presentations.n for each in findings)
        least = "" if known else "at least "
        yield f"{total} of {least}{number_of(len(people), 'person', 'people')}"
    else:
        yield f"{total}, whose people are not named"


def _words(found: Finding) -> str:
    """A part of a profile that does not pass, in words."""
    shown, name = found.presentations, found.species or "bona fide"
    if shown.verdict is Verdict.FAIL:
        return f"{name}: {number_of(shown.errors, 'error')} in {number_of(shown.n, 'presentation')}"
    return f"{name}: {shown.n} of {number_of(found.requirement.needed() or 0, 'presentation')}"


def findings_dict(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the entries ``requirements`` and ``profiles`` of JSON documents."""
    return {
        "requirements": [found.to_dict() for found in findings],
        "profiles": [result.to_dict() for result in profile_results(findings)],
    }


def profile_notes(findings: Sequence[Finding]) -> list[str]:
    """Return what each profile of the findings is, what it covers, and what it leaves out.

    Each note is one line without a final full stop.
    """
    return [note for name in _profiles(findings) for note in _notes(name)]


def _notes(name: str) -> Iterator[str]:
    profile = PROFILES[name]
    yield f"profile {name}: {profile.source}"
    yield f"profile {name} covers: {profile.covers}".rstrip(".")
    yield f"profile {name} does not cover: {profile.missing}".rstrip(".")
