"""Presets: three named thresholds of a model, each with the error rates to expect."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from facepad.errors import number_of
from facepad.metrics.expected import expected_rates
from facepad.metrics.intervals import Rate
from facepad.metrics.notes import Note, NoteKind, remarks
from facepad.metrics.scores import scores_sha256
from facepad.metrics.table import common_split
from facepad.metrics.thresholds import Threshold, ThresholdOrigin, threshold_at
from facepad.types import Label, ScoreRecord

__all__ = ["PRESETS", "WEAK_BELOW", "Preset", "choose_presets", "make_preset", "preset_notes", "weak_notes"]

PRESETS: Mapping[str, str] = {"strict": "bpcer@apcer=0.01", "balanced": "eer", "lenient": "apcer@bpcer=0.01"}
"""The criterion of each preset, by name.

The threshold of ``strict`` is never below the threshold of ``balanced``, and that of ``lenient`` is never above it.
"""

WEAK_BELOW = 5
"""With fewer people of a class, a calibration and a threshold are weak."""

_FOLDS = 10

_Chooser = Callable[[Sequence[ScoreRecord], str], float]
_Measure = Callable[[Sequence[ScoreRecord]], Mapping[str, Rate]]


@dataclass(frozen=True, slots=True)
class Preset:
    """A named threshold of a model.

    Attributes:
        name: A key of `PRESETS`.
        threshold: The threshold with its origin.
        apcer: APCER of the worst attack instrument, with the interval to expect of new people.
        bpcer: BPCER, with the interval to expect of new people.
    """

    name: str
    threshold: Threshold
    apcer: Rate
    bpcer: Rate

    def __str__(self) -> str:
        """The preset in one line, with the rates in percent.

        >>> rates = (Rate(0.01, 0.0, 0.04, 200, "exact"), Rate(0.2, 0.15, 0.3, 100, "exact"))
        >>> print(Preset("strict", Threshold(0.9, "bpcer@apcer=0.01"), *rates))
        strict: threshold 0.9; expect APCER 1.0 % (up to 4.0 %), BPCER 20.0 % (up to 30.0 %)
        """
        rates = (("APCER", self.apcer), ("BPCER", self.bpcer))
        texts = (f"{name} {100 * rate.value:.1f} % (up to {100 * rate.high:.1f} %)" for name, rate in rates)
        return f"{self.name}: threshold {self.threshold.value:.4g}; expect {', '.join(texts)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the preset as plain values for JSON."""
        rates = {name: {**rate.to_dict(), "method": rate.method} for name, rate in self._rates().items()}
        return {"name": self.name, "threshold": self.threshold.to_dict(), **rates}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a preset from the result of `to_dict`.

        Raises:
            ValueError: a part is missing or has a wrong type, or the name is unknown.
        """
        try:
            if values["name"] not in PRESETS:
                raise ValueError(f"its name must be one of {', '.join(PRESETS)}, got {values['name']!r}")
            rates = (_rate_of(values[name]) for name in ("apcer", "bpcer"))
            return cls(values["name"], Threshold.from_dict(values["threshold"]), *rates)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a preset needs name, threshold, apcer and bpcer ({error})") from error

    def _rates(self) -> dict[str, Rate]:
        return {"apcer": self.apcer, "bpcer": self.bpcer}


def _rate_of(values: Mapping[str, Any]) -> Rate:
    value, low, high = (float(values[name]) for name in ("value", "low", "high"))
    if not 0 <= low <= value <= high <= 1:
        raise ValueError(f"a rate and its interval lie in [0, 1], got {low:g} <= {value:g} <= {high:g}")
    return Rate(value, low, high, int(values["n"]), str(values["method"]))


def choose_presets(
    records: Sequence[ScoreRecord],
    *,
    source: str,
    notes: Sequence[Note] = (),
    folds: Sequence[Collection[str]] | None = None,
    choose: _Chooser | None = None,
    measure: _Measure = expected_rates,
) -> tuple[Preset, ...]:
    """Choose the thresholds of all presets on records, and measure the error rates to expect of new people.

    The rates come from decisions on each part of the people at thresholds that the other people chose. If the other
    people lack a class, the thresholds of all records decide, and a note says that the rates are optimistic. Another
    note says if presets have one threshold, or if strict or lenient does not lower its rate.

    Args:
        records: Records of both classes.
        source: Name of the scores file or data set, for the origins.
        notes: Notes to copy to the origins.
        folds: The parts of the people, as sets of subjects. None makes up to 10 parts.
        choose: Function from records and a criterion to a threshold. None takes `threshold_at`.
        measure: Function from records, accepted if their score is at least 0, to their ``apcer`` and ``bpcer``.

    Raises:
        MetricError: one class has no scores.
    """
    choose = choose or _pooled
    scored = [record for record in records if record.score is not None]
    thresholds = _thresholds(scored, choose)
    decided = list(_held_out(scored, _parts(scored) if folds is None else folds, choose))
    more = list(notes)
    if not decided:
        decided = [(record, thresholds) for record in scored]
        more += remarks(["the rates of the presets are optimistic: there are too few people to hold some out"])
    rates = {
        name: measure([replace(record, score=(record.score or 0.0) - own[name]) for record, own in decided])
        for name in thresholds
    }
    more += remarks(_not_separated(thresholds, rates, len({record.subject for record in scored})))
    origin = ThresholdOrigin(
        source=source,
        split=common_split(records),
        n_bona_fide=sum(record.label is Label.BONA_FIDE for record in scored),
        n_attack=sum(record.label is Label.ATTACK for record in scored),
        sha256=scores_sha256(records),
        notes=tuple(more),
    )
    return tuple(
        make_preset(name, value, origin, rates[name]["apcer"], rates[name]["bpcer"])
        for name, value in thresholds.items()
    )


def preset_notes(presets: Sequence[Preset], known: Sequence[Note]) -> list[Note]:
    """The notes that all presets have and that are not known yet, such as presets that the data do not separate.

    Args:
        presets: The presets of a model.
        known: Notes to leave out, such as those of the model's threshold.
    """
    notes = [preset.threshold.origin.notes for preset in presets]
    return [note for note in notes[0] if note not in known and all(note in each for each in notes)] if notes else []


def _not_separated(
    thresholds: Mapping[str, float], rates: Mapping[str, Mapping[str, Rate]], people: int
) -> Iterator[str]:
    """One text if presets have one threshold, or if ``strict`` or ``lenient`` does not lower its rate; else nothing."""
    if len(set(thresholds.values())) == 1:
        yield "the three presets are equal: on these data, one threshold keeps both rates within 1 %"
        return
    found = []
    for name, rate in (("strict", "apcer"), ("lenient", "bpcer")):
        own, balanced = rates[name][rate], rates["balanced"][rate]
        if f"{thresholds[name]:.4g}" == f"{thresholds['balanced']:.4g}":
            found.append(f"{name} has the threshold of balanced")
        elif own.value >= balanced.value or own.high >= balanced.high:
            found.append(f"the {rate.upper()} of {name}, or its upper end, is not below that of balanced")
    if found:
        yield f"the data of {number_of(people, 'person', 'people')} do not separate the presets: {', and '.join(found)}"


def make_preset(name: str, value: float, origin: ThresholdOrigin, apcer: Rate, bpcer: Rate) -> Preset:
    """Make a preset whose threshold has the rates to expect of new people in its first note.

    Args:
        name: A key of `PRESETS`.
        value: The threshold.
        origin: The data that chose the threshold.
        apcer: APCER of the worst attack instrument to expect of new people.
        bpcer: BPCER to expect of new people.
    """
    bare = Preset(name, Threshold(value, PRESETS[name], origin), apcer, bpcer)
    words = remarks([f"preset {bare} of new people in these data"])
    return replace(bare, threshold=replace(bare.threshold, origin=replace(origin, notes=(*words, *origin.notes))))


def _thresholds(records: Sequence[ScoreRecord], choose: _Chooser) -> dict[str, float]:
    """The threshold of each preset."""
    found = {name: choose(records, criterion) for name, criterion in PRESETS.items()}
    found["strict"] = max(found["strict"], found["balanced"])
    found["lenient"] = min(found["lenient"], found["balanced"])
    return found


def _pooled(records: Sequence[ScoreRecord], criterion: str) -> float:
    live = [record.score for record in records if record.label is Label.BONA_FIDE]
    attacks = [record for record in records if record.label is Label.ATTACK]
    kinds = [str(record.species) for record in attacks]
    return threshold_at(np.array(live, float), np.array([each.score for each in attacks], float), criterion, kinds)


def _parts(records: Sequence[ScoreRecord]) -> list[set[str]]:
    people = sorted({record.subject for record in records})
    return [set(people[start::_FOLDS]) for start in range(min(_FOLDS, len(people)))]


def _held_out(
    records: Sequence[ScoreRecord], folds: Sequence[Collection[str]], choose: _Chooser
) -> Iterator[tuple[ScoreRecord, dict[str, float]]]:
    """Each record with the thresholds of the other folds; nothing if the other folds of one fold lack a class."""
    others = [[record for record in records if record.subject not in people] for people in folds]
    if any({record.label for record in each} != set(Label) for each in others):
        return
    for people, rest in zip(folds, others, strict=True):
        thresholds = _thresholds(rest, choose)
        yield from ((record, thresholds) for record in records if record.subject in people)


def weak_notes(records: Sequence[ScoreRecord]) -> list[Note]:
    """A note of the kind ``weak`` if a class has scores of fewer than `WEAK_BELOW` people; else empty."""
    scored = [record for record in records if record.score is not None]
    live, attacked = (len({record.subject for record in scored if record.label is label}) for label in Label)
    if min(live, attacked) >= WEAK_BELOW:
        return []
    text = f"weak: chosen on few people ({live} bona fide, {attacked} in attacks); expect more errors of new people"
    return [Note(NoteKind.WEAK, text)]
