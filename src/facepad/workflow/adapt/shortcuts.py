"""Facts that separate the classes without the face: a network may learn such a short cut instead of the attack."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from facepad.types import Label, Sample
from facepad.workflow.adapt.facts import ImageFacts
from facepad.workflow.adapt.finding import Finding, shown
from facepad.workflow.adapt.separation import separation

__all__ = ["LIMIT", "shortcuts"]

LIMIT = 0.9
"""Minimum balanced accuracy of a short cut on people who were not used to make its rule."""

_Value = float | str | None


@dataclass(frozen=True, slots=True)
class _Fact:
    """One fact about an image: the name in the evidence, the value, and the value in words."""

    name: str
    value: Callable[[ImageFacts], _Value]
    words: Callable[[str | float], str] = str


@dataclass(frozen=True, slots=True)
class _Group:
    """Facts with one cause and one remedy. ``text`` has the fields ``attacks`` and ``live`` for the values."""

    facts: tuple[_Fact, ...]
    text: str
    verb: str = "is"


@dataclass(frozen=True, slots=True)
class _Separating:
    """A fact that separates the classes."""

    fact: _Fact
    accuracy: float
    live: list[str | float]
    attack: list[str | float]

    def of(self, values: Sequence[str | float]) -> tuple[str, float]:
        """The typical value of a class in words, and the fraction of its images with this value."""
        if isinstance(values[0], str):
            value, count = Counter(values).most_common(1)[0]
            return self.fact.words(value), count / len(values)
        return self.fact.words(statistics.median(float(v) for v in values)), float(len(set(values)) == 1)

    def evidence(self) -> str:
        live, attack = self._line(self.live), self._line(self.attack)
        return f"{self.fact.name}: live {live}; attacks {attack}; it tells {self.accuracy:.0%} right on other people"

    def _line(self, values: Sequence[str | float]) -> str:
        typical, share = self.of(values)
        if isinstance(values[0], str):
            return f"{typical} ({round(share * len(values))} of {len(values)})"
        return f"{typical} (median of {len(values)})"


def _size(facts: ImageFacts) -> str:
    return f"{facts.size[1]}x{facts.size[0]}"


def _date(facts: ImageFacts) -> str | None:
    return None if facts.taken is None else f"{facts.taken:%Y-%m-%d}"


def _hours(facts: ImageFacts) -> float | None:
    return None if facts.taken is None else facts.taken.hour + facts.taken.minute / 60


def _clock(hours: str | float) -> str:
    minutes = round(float(hours) * 60)
    return f"at {minutes // 60:02}:{minutes % 60:02}"


def _of_background(name: str, place: int) -> _Fact:
    """One number of the background."""
    return _Fact(
        f"{name} of the background", lambda f: f.background and f.background[place], lambda v: f"{v:.0f} of 255"
    )


_FILES = _Group(
    (
        _Fact("image size", _size),
        _Fact("number of pixels", lambda f: f.size[0] * f.size[1] / 1e6, lambda v: f"{v:.2g} megapixels"),
        _Fact("file format", lambda f: f.format),
        _Fact("JPEG quality", lambda f: f.quality, lambda v: f"JPEG quality {v:.0f}"),
        _Fact("camera", lambda f: f.camera, lambda v: f"from {v}" if v else "without the name of a camera"),
    ),
    "{attacks} and {live}: a network may learn the camera instead of the attack; take both with the same camera and "
    "save both in the same way",
)
_TIMES = _Group(
    (_Fact("date", _date, lambda v: f"on {v}"), _Fact("time of day", _hours, _clock)),
    "{attacks} and {live}: a network may learn the light or the clothes of a day instead of the attack; take both in "
    "the same session",
    verb="was taken",
)
_PLACES = _Group(
    tuple(
        _of_background(name, place)
        for place, name in enumerate(("lightness", "green to red", "blue to yellow", "contrast"))
    ),
    "the background alone tells attacks and live pictures apart: a network may learn the place or the light instead of "
    "the attack; take both at the same places, in the same light",
)
_DISTANCES = _Group(
    (_Fact("face", lambda f: f.face, lambda v: f"{float(v):.0%} of the image's width"),),
    "the size of the face alone tells attacks and live pictures apart: a network may learn the distance instead of the "
    "attack; hold prints and screens so that the face in the picture is as large as a live face",
)


def shortcuts(samples: Sequence[Sample], facts: Mapping[str, ImageFacts]) -> list[Finding]:
    """A finding for each group of facts (files, times, places, distances) that separates the classes.

    Args:
        samples: The samples of both classes.
        facts: Path -> facts. Samples without facts are left out.
    """
    known = [sample for sample in samples if sample.path in facts]
    found = []
    for group in (_FILES, _TIMES, _PLACES, _DISTANCES):
        separating = [each for fact in group.facts if (each := _judged(fact, known, facts)) is not None]
        if separating:
            attacks, live = (_described(separating, label, group.verb) for label in (Label.ATTACK, Label.BONA_FIDE))
            text = group.text.format(attacks=attacks, live=live)
            found.append(Finding("short-cut", text, (*(s.evidence() for s in separating), _examples(known))))
    return found


def _judged(fact: _Fact, samples: Sequence[Sample], facts: Mapping[str, ImageFacts]) -> _Separating | None:
    """The fact with its values, if it separates the classes."""
    values = [fact.value(facts[sample.path]) for sample in samples]
    attacks = [sample.label is Label.ATTACK for sample in samples]
    accuracy = separation(values, attacks, [sample.subject for sample in samples])
    if accuracy < LIMIT:
        return None
    pairs = list(zip(values, attacks, strict=True))
    live, attack = ([v for v, is_attack in pairs if v is not None and is_attack is wanted] for wanted in (False, True))
    return _Separating(fact, accuracy, live, attack)


def _described(separating: Sequence[_Separating], label: Label, verb: str) -> str:
    """The values of a class in words, such as "every attack is 640x480 PNG"."""
    names = {each.fact.name for each in separating}
    # The number of pixels follows from the size.
    shown_facts = [each for each in separating if each.fact.name != "number of pixels" or "image size" not in names]
    values = [each.of(each.attack if label is Label.ATTACK else each.live) for each in shown_facts]
    words = " ".join(word for word, _ in values)
    noun = "attack" if label is Label.ATTACK else "live picture"
    if all(share == 1 for _, share in values):
        return f"every {noun} {verb} {words}"
    return f"most {noun}s {verb.replace('is', 'are').replace('was', 'were')} {words}"


def _examples(samples: Sequence[Sample]) -> str:
    first = [next(shown(s.path) for s in samples if s.label is label) for label in Label]
    return f"for example {first[0]} and {first[1]}"
