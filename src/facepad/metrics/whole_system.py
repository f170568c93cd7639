"""Rates of a whole system: presentation attack detection, and the comparison with the claimed identity.

ISO/IEC 30107-3:2023 defines the full-system evaluation in 7.5, the terms in 3.2 and the metrics in clause 13.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from facepad.errors import MetricError, ScoresError, number_of, unknown_choice
from facepad.metrics.cells import Cells, count_cells
from facepad.metrics.counts import Rated, Share
from facepad.metrics.intervals import Rate
from facepad.metrics.levels import Aggregation
from facepad.metrics.matches import INTENT, MATCH, has_matches, match_decisions, with_matches
from facepad.metrics.measures import ACER, APCER, APNRR, BPCER, FAR
from facepad.metrics.notes import Note
from facepad.metrics.requirements import Finding, Requirement, are_frames, check_requirements, refuse_frames
from facepad.metrics.resampling import Resampling
from facepad.metrics.table import score_table
from facepad.metrics.thresholds import Threshold
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus

__all__ = [
    "SYSTEM_MEASURES",
    "Intent",
    "Presentation",
    "WholeSystem",
    "check_system",
    "presentations_of",
    "system_of",
    "whole_system",
]

SYSTEM_MEASURES = {
    "iapar": "IAPAR: impersonations accepted, worst",
    "frr": "FRR: genuine rejected",
    "riapar": "RIAPAR: IAPAR + FRR",
    "far": "FAR: zero-effort impostors accepted",
    "concealment": "concealments undetected, worst",
    "iapmr": "no PAD: impersonations matched, worst",
    "fnmr": "no PAD: FNMR, genuine not matched",
    "fmr": "no PAD: FMR, zero-effort matched",
    "capnmr": "no PAD: concealed not matched, worst",
}
"""The rates by key, with their titles. A title that begins with "no PAD" is a rate of the comparison alone."""

_LOG = logging.getLogger(__name__)
_DEFAULT_RESAMPLING = Resampling()
#: The threshold of records whose score is 1 or 0.
_HALF = 0.5


class Intent(StrEnum):
    """The intent of a presentation, the attribute ``intent``. The first intent of a class is its default."""

    GENUINE = "genuine"  #: Bona fide: a person claims the own identity.
    ZERO_EFFORT = "zero_effort"  #: Bona fide: a person claims another identity, without an attack.
    IMPERSONATION = "impersonation"  #: Attack: to be taken for the person of the claimed identity.
    CONCEALMENT = "concealment"  #: Attack: to be recognised as no known person, and not as oneself.


_INTENTS = {
    Label.BONA_FIDE: (Intent.GENUINE, Intent.ZERO_EFFORT),
    Label.ATTACK: (Intent.IMPERSONATION, Intent.CONCEALMENT),
}


@dataclass(frozen=True, slots=True)
class Presentation:
    """One presentation to a system.

    Attributes:
        record: The record of the detection.
        intent: The intent.
        live: Whether the detection took the presentation for bona fide. False without a score.
        match: Whether the comparison accepted the presentation for the claimed identity; None without a result.
    """

    record: ScoreRecord
    intent: Intent
    live: bool
    match: bool | None


@dataclass(frozen=True, slots=True)
class WholeSystem:
    """The rates of a system at the thresholds of its two subsystems.

    Attributes:
        rates: The rates by the keys of `SYSTEM_MEASURES`; None if a rate has no presentation, or if the rate is of the
            comparison alone and presentations were not compared.
        species: IAPAR of each PAI species of impersonation attacks.
        acquired: APAR of each PAI species: the share of attacks with a sample of sufficient quality. Here this is the
            share of attacks with a score, 1 - APNRR.
        decided: The genuine presentations and the impersonation attacks, with the score 1 if the system accepted the
            presentation, and otherwise 0.
        match_threshold: The lowest accepted comparison score; None if the decisions were given.
        notes: Notes for the reader.
    """

    rates: Mapping[str, Rate | None]
    species: Mapping[str, Rate]
    acquired: Mapping[str, Rate]
    decided: tuple[ScoreRecord, ...]
    match_threshold: float | None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the part ``whole_system`` of the JSON document; a rate is ``{value, low, high, n}`` or None."""
        return {
            "match_threshold": self.match_threshold,
            **{key: rate and rate.to_dict() for key, rate in self.rates.items()},
            "species": {
                name: {
                    "iapar": self.species[name].to_dict() if name in self.species else None,
                    "apar": rate.to_dict(),
                }
                for name, rate in self.acquired.items()
            },
            "notes": list(self.notes),
        }


def presentations_of(
    records: Sequence[ScoreRecord], threshold: float, match_threshold: float | None = None
) -> list[Presentation]:
    """Combine the decisions of the detection and of the comparison.

    Args:
        records: The records, with the attributes ``match`` and, where the intent is not the default, ``intent``.
        threshold: The threshold of the detection. A record is taken for bona fide if its score is at least this value.
        match_threshold: The lowest accepted comparison score, if ``match`` holds scores.

    Raises:
        ScoresError: a value of ``match`` or ``intent`` is invalid, or a presentation that the detection accepted has
            no value of ``match``.
    """
    found = [
        Presentation(record, _intent(record), record.score is not None and record.score >= threshold, match)
        for record, match in zip(records, match_decisions(records, match_threshold), strict=True)
    ]
    open_cases = [each.record.path for each in found if each.live and not each.record.attribute(MATCH)]
    if open_cases:
        raise ScoresError(
            f"{len(open_cases)} of {len(found)} presentations pass the detection and have no value of match (first: "
            f"{open_cases[0]}), so the decision of the system is not known; write none if the comparison had no result"
        )
    return found


def _intent(record: ScoreRecord) -> Intent:
    known = _INTENTS[record.label]
    text = (record.attribute(INTENT) or known[0]).strip().lower()
    if text not in known:
        raise ScoresError(f"{record.path}: {unknown_choice(f'intent of {record.label}', text, known)}")
    return Intent(text)


def whole_system(
    records: Sequence[ScoreRecord],
    threshold: float,
    match_threshold: float | None = None,
    resampling: Resampling = _DEFAULT_RESAMPLING,
) -> WholeSystem:
    """Measure a system that accepts a presentation if the detection takes it for bona fide and the comparison matches.

    The rates with detection count every presentation; one without a score is rejected. The definitions are those of
    ISO/IEC 30107-3:2023 (3.2, 7.5 and 13): IAPAR and FRR are shares of presentations with one result, and
    RIAPAR = 1 + (IAPAR - (1 - FRR)) = IAPAR + FRR. IAPAR is the highest of all PAI species. FNMR and FMR are those of
    ISO/IEC 19795-1. IAPMR and CAPNMR have the names of the edition of 2017, and are of the comparison alone here.

    Args:
        records: The records, as in `presentations_of`. Each record is one presentation.
        threshold: The threshold of the detection.
        match_threshold: The lowest accepted comparison score, if ``match`` holds scores.
        resampling: Settings of the bootstrap.

    Raises:
        ScoresError: as in `presentations_of`.
        MetricError: a video has several records.
    """
    refuse_frames(records)
    found = presentations_of(records, threshold, match_threshold)
    part = _Part(found, resampling)
    decided = part.records(_GENUINE_AND_ATTACK, _accepted)
    cells = _cells(decided, resampling)
    rates = {
        "iapar": _rate(cells, APCER),
        "frr": _rate(cells, BPCER),
        "riapar": _doubled(_rate(cells, ACER)),
        "far": _rate(part.cells([Intent.ZERO_EFFORT], _accepted), APCER),
        "concealment": _rate(part.cells([Intent.CONCEALMENT], lambda each: each.live and each.match is False), APCER),
    }
    skipped = sum(each.record.score is not None and not each.record.attribute(MATCH) for each in found)
    alone = _Part([] if skipped else [each for each in found if each.match is not None], resampling)
    matches = alone.cells(_GENUINE_AND_ATTACK, lambda each: each.match is True)
    rates |= {
        "iapmr": _rate(matches, APCER),
        "fnmr": _rate(matches, BPCER),
        "fmr": _rate(alone.cells([Intent.ZERO_EFFORT], lambda each: each.match is True), APCER),
        "capnmr": _rate(alone.cells([Intent.CONCEALMENT], lambda each: each.match is False), APCER),
    }
    attacks = part.attacks()
    return WholeSystem(
        rates=rates,
        species=_by_species(decided, cells, FAR),
        acquired={name: _rest(rate) for name, rate in _by_species(*attacks, APNRR).items()},
        decided=tuple(decided),
        match_threshold=match_threshold,
        notes=tuple(_notes(found, skipped)),
    )


def system_of(
    records: Sequence[ScoreRecord],
    threshold: float,
    *,
    match: Path | None = None,
    match_threshold: float | None = None,
    aggregation: Aggregation | None = None,
) -> WholeSystem | None:
    """Measure the whole system of a scores file, if the decisions of a comparison are given.

    Args:
        records: The measured records of the detection.
        threshold: The threshold of the detection.
        match: A second scores file with the comparisons (`with_matches`). None takes the attribute ``match``.
        match_threshold: The lowest accepted comparison score, if the comparisons are scores.
        aggregation: The aggregation that made the records, if they are videos.

    Returns:
        The rates; None if there is no comparison, or if the records with the attribute are frames of videos.

    Raises:
        ScoresError: as in `with_matches` and `presentations_of`.
        MetricError: a second file is given for frames of videos, or a threshold without a comparison.
    """
    notes: list[Note] = []
    if match is not None:
        refuse_frames(records)
        records, notes = with_matches(records, match, aggregation)
    elif not has_matches(records):
        if match_threshold is not None:
            raise MetricError("a threshold of match needs comparisons: a column match, or --match OTHER.csv")
        return None
    elif are_frames(records):
        _LOG.warning("the column match is not used: whole-system rates count presentations (--level video)")
        return None
    system = whole_system(records, threshold, match_threshold)
    return replace(system, notes=(*map(str, notes), *system.notes))


def check_system(
    records: Sequence[ScoreRecord],
    threshold: float | Threshold,
    requirements: Iterable[Requirement],
    system: WholeSystem | None,
) -> list[Finding]:
    """Hold records against requirements as `check_requirements` does, and the decisions of the whole system.

    Args:
        records: The records of the detection.
        threshold: The threshold of the detection, as in `check_requirements`.
        requirements: The requirements. ``iapar`` is held against the decisions of the system, and so is the ``apcer``
            of a profile, because schemes limit IAPAR.
        system: The system; None without a comparison.

    Raises:
        MetricError: as in `check_requirements`, or ``iapar`` is limited without a comparison.
    """
    optimistic = isinstance(threshold, Threshold) and threshold.chosen_on_itself
    findings = []
    for each in requirements:
        if system is None or not (each.rate == "iapar" or (each.profile and each.rate == "apcer")):
            findings += check_requirements(records, threshold, [each])
        else:
            of_system, named = replace(each, rate="apcer"), replace(each, rate="iapar")
            if all(record.label is Label.BONA_FIDE for record in system.decided):
                raise MetricError(f"{named} cannot be checked: no attack has the intent impersonation")
            found = check_requirements(system.decided, _HALF, [of_system])
            findings += [replace(finding, requirement=named, optimistic=optimistic) for finding in found]
    return findings


_GENUINE_AND_ATTACK = (Intent.GENUINE, Intent.IMPERSONATION)


def _accepted(presentation: Presentation) -> bool:
    """Whether the system accepts a presentation."""
    return presentation.live and presentation.match is True


@dataclass(frozen=True)
class _Part:
    """Presentations, and the settings of the bootstrap for their rates."""

    found: Sequence[Presentation]
    resampling: Resampling

    def records(self, intents: Iterable[Intent], success: Callable[[Presentation], bool]) -> list[ScoreRecord]:
        """The presentations with these intents as records with the score 1 for a success, and otherwise 0."""
        wanted = tuple(intents)
        return [_decided(each, success(each)) for each in self.found if each.intent in wanted]

    def cells(self, intents: Iterable[Intent], success: Callable[[Presentation], bool]) -> Cells | None:
        """The counts of `records`; None without a record."""
        return _cells(self.records(intents, success), self.resampling)

    def attacks(self) -> tuple[list[ScoreRecord], Cells | None]:
        """The records of all attacks with their own scores, and their counts."""
        records = [each.record for each in self.found if each.record.label is Label.ATTACK]
        return records, _cells(records, self.resampling)


def _decided(presentation: Presentation, success: bool) -> ScoreRecord:
    record = replace(presentation.record, status=ScoreStatus.SCORED, score=float(success))
    if presentation.intent is not Intent.ZERO_EFFORT:
        return record
    return replace(record, label=Label.ATTACK, attack_type=AttackType.UNKNOWN)  # counted like attacks


def _cells(records: Sequence[ScoreRecord], resampling: Resampling) -> Cells | None:
    if not records:
        return None
    return count_cells(score_table(records, resampling.cluster_of(records)), _HALF, resampling)


def _rate(cells: Cells | None, rated: Rated) -> Rate | None:
    """A rate; None if a class that it needs has no presentation."""
    if cells is None or (rated is not BPCER and not cells.total[:-1].any()):
        return None
    try:
        return cells.rate(rated)
    except MetricError:
        return None


def _by_species(records: Iterable[ScoreRecord], cells: Cells | None, share: Share) -> dict[str, Rate]:
    names = sorted({record.species for record in records if record.species is not None})
    rates = cells.by_instrument(share) if cells else []
    return {name: rate for name, rate in zip(names, rates, strict=True) if rate is not None}


def _doubled(rate: Rate | None) -> Rate | None:
    if rate is None:
        return None
    method = rate.method.replace("mean of the bounds", "sum of the bounds")
    return replace(rate, value=2 * rate.value, low=2 * rate.low, high=2 * rate.high, method=method)


def _rest(rate: Rate) -> Rate:
    return replace(rate, value=1 - rate.value, low=1 - rate.high, high=1 - rate.low)


def _notes(found: Sequence[Presentation], skipped: int) -> Iterator[str]:
    counts = Counter(each.intent for each in found)
    yield "whole system: " + ", ".join(f"{counts[intent]} {intent.replace('_', ' ')}" for intent in Intent)
    if none := sum(each.match is None and each.record.attribute(MATCH) is not None for each in found):
        have, them = ("has", "does not accept it") if none == 1 else ("have", "accepts none of them")
        without = f"the rates without PAD omit {'it' if none == 1 else 'them'}"
        yield f"{number_of(none, 'comparison')} {have} no result: the system {them}, and {without}"
    if skipped:
        yield (
            f"{number_of(skipped, 'presentation')} that the detection rejected {'was' if skipped == 1 else 'were'} not "
            "compared, so the rates of the comparison alone are not defined"
        )
    if counts[Intent.IMPERSONATION] and not any(each.intent is Intent.ZERO_EFFORT for each in found):
        yield "no line has the intent zero_effort, so FAR and FMR are not defined"
