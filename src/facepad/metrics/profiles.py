"""Profiles: the requirements of published schemes, with their sources and with what they leave out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from facepad.errors import MetricError, unknown_choice
from facepad.metrics.requirements import Finding, Requirement, parse_requirements

__all__ = ["PROFILES", "Profile", "profile_notes", "read_requirements"]


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


def profile_notes(findings: Sequence[Finding]) -> list[str]:
    """Return what each profile of the findings is, what it covers, what it leaves out, and which species are missing.

    Each note is one line without a final full stop.
    """
    return [
        note for name in dict.fromkeys(each.requirement.profile for each in findings) for note in _notes(name, findings)
    ]


def _notes(name: str, findings: Sequence[Finding]) -> Iterator[str]:
    if not name:
        return
    profile = PROFILES[name]
    found = len({each.species for each in findings if each.requirement.profile == name})
    if profile.species and found < profile.species:
        yield f"profile {name} asks for {profile.species} PAI species, and the scores hold {found}"
    yield f"profile {name}: {profile.source}"
    yield f"profile {name} covers: {profile.covers}".rstrip(".")
    yield f"profile {name} does not cover: {profile.missing}".rstrip(".")
