"""The amount of a site's data: people and presentations of each class and kind, and what to collect next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from facepad.errors import number_of
from facepad.types import VIDEO_SUFFIXES, Label, Sample
from facepad.workflow.adapt.finding import Finding, first_names, shown

__all__ = [
    "CLIPS",
    "IMAGES",
    "MIN_PEOPLE",
    "PEOPLE",
    "amounts",
    "can_train",
    "collect_next",
    "faces_missing",
    "needed",
    "people_of",
]

MIN_PEOPLE = 3
"""Minimum number of people of each class for training. With fewer people, a model can only be calibrated."""

PEOPLE = 6
"""Recommended number of people of each class and kind."""

IMAGES = 30
"""Recommended number of images of each person, as live and as each kind of attack."""

CLIPS = 3
"""Recommended number of clips, in place of `IMAGES`."""

_CLASS = {Label.BONA_FIDE: "live", Label.ATTACK: "attack"}


@dataclass(frozen=True, slots=True)
class _Amount:
    """The images and clips of one person, as live or as one kind of attack."""

    images: int
    clips: int

    @property
    def enough(self) -> bool:
        return self.images / IMAGES + self.clips / CLIPS >= 1

    def __str__(self) -> str:
        parts = [number_of(self.images, "image")] if self.images else []
        return " and ".join([*parts, *([number_of(self.clips, "clip")] if self.clips else [])])


def people_of(samples: Iterable[Sample], label: Label) -> list[str]:
    """The people with samples of a class, sorted by name."""
    return sorted({sample.subject for sample in samples if sample.label is label})


def can_train(samples: Sequence[Sample]) -> bool:
    """Whether each class has enough people (`MIN_PEOPLE`) for training."""
    return all(len(people_of(samples, label)) >= MIN_PEOPLE for label in Label)


def needed(samples: Sequence[Sample]) -> tuple[Finding, ...]:
    """The findings that make every model impossible: one class, one person, one image, or one clip."""
    return tuple(Finding("stop", text) for text in _missing(samples))


def _missing(samples: Sequence[Sample]) -> Iterator[str]:
    if len(samples) == 1:
        yield f"there is one file only, {samples[0].path}; take live images and attacks of at least {MIN_PEOPLE} people"
        return
    for label in Label:
        if not any(sample.label is label for sample in samples):
            yield f"there is no {_CLASS[label]} image; a model needs both classes"
            return
    people = {sample.subject for sample in samples}
    if len(people) == 1:
        yield (
            f"all files show one person, {people.pop()!r}; a model must be judged on other people: take pictures of at "
            f"least {MIN_PEOPLE} people"
        )
        return
    for label in Label:
        clips = {_clip_of(sample) for sample in samples if sample.label is label}
        if len(clips) == 1 and "" not in clips:
            yield f"all {_CLASS[label]} images are frames of one clip, {clips.pop()}; take clips of several people"


def _clip_of(sample: Sample) -> str:
    """The clip of a frame, or the clip itself; empty for an image."""
    is_clip = PurePosixPath(sample.path).suffix.lower() in VIDEO_SUFFIXES
    return sample.video or (sample.path if is_clip else "")


def amounts(samples: Sequence[Sample]) -> list[Finding]:
    """The findings on the amount: a summary, too few people, people of one class only, and what to collect next."""
    table = _table(samples)
    found = [_summary(samples, table)]
    for label in Label:
        count = len(people_of(samples, label))
        if count < MIN_PEOPLE:
            have = number_of(count, "person has", "people have")
            text = (
                f"{have} {_CLASS[label]} images, and training needs {MIN_PEOPLE}: the model is only calibrated; take "
                f"{_CLASS[label]} images of {number_of(MIN_PEOPLE - count, 'more person', 'more people')}"
            )
            found.append(Finding("warning", text))
    found += _one_class_only(samples)
    if len(table) == 2:
        kind = next(kind for kind in table if kind != "live")
        text = f"the only kind of attack is {kind!r}: the report cannot tell how the model answers to other kinds"
        found.append(Finding("warning", text))
    return found + _collect_next(samples)


def faces_missing(samples: Sequence[Sample]) -> list[Finding]:
    """The findings on images without a face, by class."""
    found = []
    for label in Label:
        own = [sample for sample in samples if sample.label is label]
        lost = [shown(sample.path) for sample in own if sample.box is None]
        if lost and len(lost) == len(own):
            found.append(
                Finding(
                    "stop", f"none of {number_of(len(own), f'{_CLASS[label]} image')} shows a face (first: {lost[0]})"
                )
            )
        elif lost:
            text = (
                f"{len(lost)} of {number_of(len(own), f'{_CLASS[label]} image')} "
                f"{'shows' if len(lost) == 1 else 'show'} no face, and cannot be used"
            )
            found.append(Finding("warning", text, (first_names(lost),)))
    return found


def _table(samples: Sequence[Sample]) -> dict[str, dict[str, _Amount]]:
    """Kind ("live" for bona fide) -> person -> amount; live first, people sorted."""
    images: defaultdict[tuple[str, str], int] = defaultdict(int)
    clips: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for sample in samples:
        key = str(sample.attack_type or "live"), sample.subject
        if clip := _clip_of(sample):
            clips[key].add(clip)
        else:
            images[key] += 1
    table: dict[str, dict[str, _Amount]] = {"live": {}} if any(s.label is Label.BONA_FIDE for s in samples) else {}
    for kind, person in sorted(images.keys() | clips.keys()):
        table.setdefault(kind, {})[person] = _Amount(images[kind, person], len(clips[kind, person]))
    return table


def _summary(samples: Sequence[Sample], table: dict[str, dict[str, _Amount]]) -> Finding:
    people = {sample.subject for sample in samples}
    lines = []
    for kind, persons in table.items():
        total = _Amount(sum(a.images for a in persons.values()), sum(a.clips for a in persons.values()))
        lines.append(f"{kind}: {total} of {number_of(len(persons), 'person', 'people')}")
    return Finding("note", f"{number_of(len(people), 'person', 'people')}; {'; '.join(lines)}")


def _one_class_only(samples: Sequence[Sample]) -> list[Finding]:
    live, attacked = (set(people_of(samples, label)) for label in Label)
    lone = [(f"live images but no attack: {first_names(sorted(live - attacked))}", live - attacked)]
    lone.append((f"attacks but no live image: {first_names(sorted(attacked - live))}", attacked - live))
    evidence = tuple(text for text, names in lone if names)
    if not evidence:
        return []
    if not live & attacked:
        text = (
            "no person has both live images and attacks: a network may learn the people instead of the attack; take "
            "both of each person"
        )
        return [Finding("short-cut", text, evidence)]
    count = len(live ^ attacked)
    text = (
        f"{number_of(count, 'person is', 'people are')} in one class only; take live images and attacks of each person"
    )
    return [Finding("warning", text, evidence)]


def collect_next(samples: Sequence[Sample]) -> tuple[str, ...]:
    """What to collect next, up to the recommended amount: one line for each class and kind that lacks something.

    >>> collect_next([Sample(f"{person}/{n}.jpg", person, Label.BONA_FIDE) for person in "abcdef" for n in range(29)])
    ('live: more of a (29 images), b (29 images), c (29 images), d (29 images), e (29 images) and 1 more',)
    """
    return tuple(_wanted(_table(samples)))


def _wanted(table: dict[str, dict[str, _Amount]]) -> Iterator[str]:
    for kind, persons in table.items():
        wanted = []
        if len(persons) < PEOPLE:
            wanted.append(number_of(PEOPLE - len(persons), "more person", "more people"))
        few = [f"{person} ({amount})" for person, amount in persons.items() if not amount.enough]
        if few:
            wanted.append(f"more of {first_names(few)}")
        if wanted:
            yield f"{kind}: {'; '.join(wanted)}"


def _collect_next(samples: Sequence[Sample]) -> list[Finding]:
    """A note on what to collect next."""
    lines = collect_next(samples)
    text = (
        f"what to collect next, for the recommended {PEOPLE} people with {IMAGES} images or {CLIPS} clips of each, as "
        "live and as each kind of attack"
    )
    return [Finding("note", text, lines)] if lines else []
