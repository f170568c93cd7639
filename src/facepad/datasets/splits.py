"""Dividing samples: reproducible orders, subject-disjoint splits, and subjects or spellings in more than one split."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from facepad.errors import DatasetError
from facepad.types import Label, Sample, Split

__all__ = [
    "class_balance",
    "dev_of_train",
    "folded_name",
    "lack_notes",
    "leak_notes",
    "random80",
    "seeded_order",
    "spelling_notes",
    "spellings_across_splits",
    "split_subjects",
    "subjects_across_splits",
    "two_spellings",
]


def seeded_order(names: Iterable[str], seed: int) -> list[str]:
    """``names`` in a random order that depends on the seed and the names alone.

    Sorting by a hash gives the same order on every platform and every version of Python and numpy. Random generators
    do not guarantee the same order.

    >>> seeded_order(["a", "b", "c"], 0) == seeded_order(["c", "b", "a"], 0)
    True
    """
    return sorted(names, key=lambda name: (hashlib.sha256(f"{seed}:{name}".encode()).digest(), name))


def class_balance(samples: Iterable[Sample]) -> dict[str, dict[str, int]]:
    """Split ("none" for samples without one) -> label -> number of samples, zeros included.

    >>> class_balance([Sample("1.png", "anna", Label.BONA_FIDE, split=Split.TEST)])
    {'test': {'bona_fide': 1, 'attack': 0}}
    """
    counts = Counter((sample.split, sample.label) for sample in samples)
    splits = [split for split in (*Split, None) if any(counts[split, label] for label in Label)]
    return {
        "none" if split is None else split.value: {label.value: counts[split, label] for label in Label}
        for split in splits
    }


def subjects_across_splits(samples: Iterable[Sample]) -> dict[str, list[Split]]:
    """Subject -> its splits, for each subject in more than one.

    >>> both = [Sample(f"{split}.png", "anna", Label.BONA_FIDE, split=split) for split in (Split.TRAIN, Split.TEST)]
    >>> [str(split) for split in subjects_across_splits(both)["anna"]]
    ['train', 'test']
    """
    seen: defaultdict[str, set[Split]] = defaultdict(set)
    for sample in samples:
        if sample.split is not None:
            seen[sample.subject].add(sample.split)
    return {subject: [s for s in Split if s in seen[subject]] for subject in sorted(seen) if len(seen[subject]) > 1}


def folded_name(name: str) -> str:
    """A form of a name that is equal for names that differ only in upper case or in their Unicode characters.

    >>> folded_name("Anna") == folded_name("anna"), folded_name("Zoe\\u0308") == folded_name("Zo\\u00eb")
    (True, True)
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def spellings_across_splits(samples: Iterable[Sample]) -> list[tuple[str, str]]:
    """Pairs of subjects in different splits whose names may be two spellings of one name (`folded_name`).

    >>> both = [Sample("1.png", "anna", Label.BONA_FIDE, split=Split.TRAIN),
    ...         Sample("2.png", "Anna", Label.BONA_FIDE, split=Split.TEST)]
    >>> spellings_across_splits(both)
    [('Anna', 'anna')]
    """
    seen: defaultdict[str, defaultdict[str, set[Split]]] = defaultdict(lambda: defaultdict(set))
    for sample in samples:
        if sample.split is not None:
            seen[folded_name(sample.subject)][sample.subject].add(sample.split)
    return [
        (one, other)
        for names in seen.values()
        for one, other in combinations(sorted(names), 2)
        if len(names[one] | names[other]) > 1
    ]


def two_spellings(one: str, other: str) -> str:
    """Two spellings of a name for a message. If they look the same, their characters are written as escapes.

    >>> two_spellings("Anna", "anna"), two_spellings("Zoe\\u0308", "Zo\\u00eb")
    ("'Anna' and 'anna'", "'Zoe\\\\u0308' and 'Zo\\\\xeb'")
    """
    same = unicodedata.normalize("NFKC", one) == unicodedata.normalize("NFKC", other)
    show = ascii if same else repr
    return f"{show(one)} and {show(other)}"


def spelling_notes(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """A note on the pairs of names that `spellings_across_splits` returns; empty without pairs.

    >>> spelling_notes([("Anna", "anna")])
    ["'Anna' and 'anna' in different splits may be one person: give each person one name"]
    """
    if not pairs:
        return []
    more = f" and {len(pairs) - 1} other pairs of names" if len(pairs) > 1 else ""
    return [f"{two_spellings(*pairs[0])}{more} in different splits may be one person: give each person one name"]


def lack_notes(name: str, balance: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A note on the splits that a manifest lacks, and on the classes that a split lacks.

    Args:
        name: Name of the manifest.
        balance: The counts of its images (`class_balance`).

    Returns:
        One note; empty if each split has both classes, or if no image has a split.

    >>> lack_notes("m.csv", {"train": {"bona_fide": 1, "attack": 2}, "test": {"bona_fide": 0, "attack": 3}})
    ['m.csv has no dev samples, no bona fide samples in test']
    """
    if not any(split in balance for split in Split):
        return []
    lacking = []
    for split in Split:
        if split not in balance:
            lacking.append(f"no {split} samples")
            continue
        lacking += [f"no {label.replace('_', ' ')} samples in {split}" for label, n in balance[split].items() if not n]
    return [f"{name} has {', '.join(lacking)}"] if lacking else []


def leak_notes(folds: Iterable[Sequence[Sample]]) -> list[str]:
    """A note on subjects that are in several splits of a fold; empty if each subject is in one split.

    >>> both = [Sample(f"{n}.png", "anna", Label.BONA_FIDE, split=split) for n, split in enumerate(Split)]
    >>> leak_notes([both])[0].partition(":")[0]
    'leaky protocol'
    """
    folds = list(folds)
    shared = {subject for samples in folds for subject in subjects_across_splits(samples)}
    subjects = {sample.subject for samples in folds for sample in samples}
    if not shared:
        return []
    return [
        f"leaky protocol: {len(shared)} of {len(subjects)} subjects are in more than one split, so its results say "
        "little about new people"
    ]


def split_subjects(samples: Iterable[Sample], shares: Mapping[Split, float], seed: int) -> dict[str, Split]:
    """Assign each subject to one split. The image counts of both classes come near ``shares``.

    Args:
        samples: The samples to divide; only subject and label matter.
        shares: Split -> wanted fraction of the images of each class; the fractions sum to 1.
        seed: Seed of the order in which subjects are assigned.

    Returns:
        Subject -> split; each split holds both classes.

    Raises:
        DatasetError: there are too few subjects for both classes in every split.
    """
    counts: defaultdict[str, Counter[Label]] = defaultdict(Counter)
    for sample in samples:
        counts[sample.subject][sample.label] += 1
    total: Counter[Label] = sum(counts.values(), Counter())
    waiting = seeded_order(counts, seed)
    held = {split: Counter[Label]() for split in shares}
    chosen: dict[str, Split] = {}

    def assign(subject: str, split: Split) -> None:
        waiting.remove(subject)
        chosen[subject] = split
        held[split].update(counts[subject])

    def misfit(split: Split, extra: Counter[Label]) -> float:
        """Distance of ``split`` from its share with the extra images, relative to the share."""
        wanted = shares[split]
        return sum(((held[split][c] + extra[c]) / total[c] - wanted) ** 2 / wanted for c in total)

    # The smallest splits come first. If they were filled last, they might find no subject of one class.
    for split in sorted(shares, key=lambda name: shares[name]):
        while lacking := [label for label in Label if not held[split][label]]:
            useful = [s for s in waiting if any(counts[s][label] for label in lacking)]
            if not useful:
                raise DatasetError(
                    f"{len(counts)} subjects are too few for a subject-disjoint split: "
                    f"no subject with {lacking[0]} images is left for {split}"
                )
            assign(max(useful, key=lambda s: sum(counts[s][label] > 0 for label in lacking)), split)
    for subject in list(waiting):
        extra = counts[subject]
        assign(subject, min(shares, key=lambda split: misfit(split, extra) - misfit(split, Counter())))
    return chosen


def dev_of_train(samples: Iterable[Sample], share: float, seed: int) -> list[Sample]:
    """The samples, with some subjects of train moved to dev, for data sets without a dev split.

    Args:
        samples: The samples; all other splits stay.
        share: Wanted fraction of train's images that become dev.
        seed: Seed of the choice.

    Raises:
        DatasetError: train is empty, or has too few subjects for both classes in train and in dev.
    """
    whole = list(samples)
    train = [sample for sample in whole if sample.split is Split.TRAIN]
    if not train:
        raise DatasetError("the train split is empty, and dev would be a part of it")
    chosen = split_subjects(train, {Split.TRAIN: 1 - share, Split.DEV: share}, seed)
    return [replace(s, split=chosen[s.subject]) if s.split is Split.TRAIN else s for s in whole]


def random80(samples: Iterable[Sample], seed: int) -> list[Sample]:
    """The samples with random splits: of each class, 80 % are train and dev (a tenth of them dev), and 20 % test.

    The subjects are not kept together, so the splits leak. Papers divide images in this way.
    """
    whole = list(samples)
    divided: list[Sample] = []
    for label in Label:
        by_path = {sample.path: sample for sample in whole if sample.label is label}
        kept = round(0.8 * len(by_path))
        held_out = round(0.1 * kept)
        for place, path in enumerate(seeded_order(by_path, seed)):
            split = Split.DEV if place < held_out else Split.TRAIN if place < kept else Split.TEST
            divided.append(replace(by_path[path], split=split))
    return divided
