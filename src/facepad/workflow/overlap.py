"""Notes on dev or test data that make thresholds or metrics wrong: overlaps with training, and other face boxes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from facepad.datasets.manifest import manifest_hash, read_manifest, resolve
from facepad.datasets.origin import origin_of
from facepad.datasets.splits import folded_name, spelling_notes
from facepad.errors import InputError
from facepad.modelfile.bundle import Bundle
from facepad.modelfile.run_folder import RunFolder
from facepad.types import Sample, Split

__all__ = [
    "attack_notes",
    "coverage_notes",
    "detector_notes",
    "dev_notes",
    "image_files",
    "measured_notes",
    "origin_notes",
    "threshold_notes",
]

#: Number of subjects that a note names.
_NAMED = 5


def dev_notes(run: RunFolder | None, bundle: Bundle, manifest: Path, dev: Sequence[Sample]) -> list[str]:
    """Notes on an overlap of the training data with the dev samples, one line each.

    Args:
        run: The run folder of the model, which lists the training samples. None for another model; only the hash of its
            training manifest is known.
        bundle: The model.
        manifest: The manifest with the dev samples.
        dev: The dev samples.
    """
    if run is None:
        return origin_notes(manifest, bundle.description.facts)
    learnt = run.read(run.samples_file, Split.TRAIN)[Split.TRAIN]
    paths = image_files(manifest, dev)
    if shared := paths.intersection(learnt["images"]):
        return [
            f"{len(shared)} of {len(paths)} dev images were used in training: "
            "a threshold that is chosen on them may be wrong for new images"
        ]
    return []


def measured_notes(run: RunFolder, manifest: Path, test: Sequence[Sample]) -> list[str]:
    """Notes on an overlap of a run's training data with the test samples, one line each."""
    seen = run.read(run.samples_file, Split.TRAIN, Split.DEV)
    paths, subjects = image_files(manifest, test), {sample.subject for sample in test}
    notes = [
        f"{len(shared)} of {len(paths)} test images were {done}: the figures are too optimistic"
        for split, done in ((Split.TRAIN, "used in training"), (Split.DEV, "dev images of the training"))
        if (shared := paths.intersection(seen[split]["images"]))
    ]
    # A merged manifest writes the name of the set before a name that several sets have.
    learnt = {part for name in seen[Split.TRAIN]["subjects"] for part in (name, name.rpartition("/")[2])}
    folded = {folded_name(name): name for name in sorted(learnt)}
    others = [(folded[folded_name(name)], name) for name in subjects - learnt if folded_name(name) in folded]
    notes += spelling_notes(sorted((min(pair), max(pair)) for pair in others))
    if shared := subjects.intersection(learnt):
        notes.append(
            f"{len(shared)} of {len(subjects)} test subjects are also train subjects (same name), "
            f"{_some(shared)}: the figures say little about new people"
        )
    return notes


def _some(names: set[str]) -> str:
    """The first names of a set, as text."""
    first = sorted(names)[:_NAMED]
    return ", ".join(first) + (" and others" if len(names) > _NAMED else "")


def origin_notes(manifest: Path, facts: Mapping[str, Any]) -> list[str]:
    """A note if the model was trained on another manifest; else empty.

    A model file does not list its training images, so the images of two manifests cannot be compared.

    Args:
        manifest: The manifest with the dev or test samples.
        facts: The facts of the model.
    """
    here = manifest_hash(manifest)
    others = dict.fromkeys(name for name, trained_on in _origins(facts) if trained_on != here)
    if not others:
        return []
    return [
        f"the model was trained on another manifest ({', '.join(others)}); "
        "it is unknown whether the training used images or people of this manifest"
    ]


def _origins(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and hash of each training manifest in the model's facts, including the members of a fused model."""
    if "manifest_sha256" in facts:
        yield facts.get("manifest", "unnamed"), facts["manifest_sha256"]
    for member in facts.get("members", ()):
        yield from _origins(member)


def image_files(manifest: Path, samples: Sequence[Sample]) -> set[str]:
    """The absolute paths of the images of samples, with symlinks resolved."""
    return {os.path.realpath(resolve(manifest, sample)) for sample in samples}


def threshold_notes(manifest: Path, measured: Set[str], dev_manifest: Path, dev: Set[str]) -> list[str]:
    """Notes on test images that also choose the threshold, one line each.

    Args:
        manifest: The measured manifest.
        measured: The `image_files` of its test samples.
        dev_manifest: The manifest with the dev samples.
        dev: The `image_files` of the samples that choose the threshold.

    Raises:
        InputError: all test images choose the threshold.
    """
    shared = measured & dev
    if shared == measured:
        raise InputError(
            f"the images of {dev_manifest} that would choose the threshold are the test images of {manifest}: "
            "the threshold needs other images"
        )
    if not shared:
        return []
    return [f"{len(shared)} of {len(measured)} test images also chose the threshold: the figures are too optimistic"]


def coverage_notes(manifest: Path, dev: Sequence[Sample], measured: Sequence[Sample] = ()) -> list[str]:
    """A note on each attack instrument, and on each merged data set, that no dev sample shows.

    Args:
        manifest: The manifest with the dev samples.
        dev: The dev samples.
        measured: Samples of another manifest, to which the threshold is applied.
    """
    sources = origin_of(manifest).get("manifests", {}).get(manifest.name, {}).get("sources", {})
    absent = [f"the data set {name}" for name, splits in sources.items() if not splits.get(Split.DEV)]
    return [*attack_notes(dev, [*read_manifest(manifest), *measured]), *map(_absence, absent)]


def attack_notes(dev: Sequence[Sample], others: Sequence[Sample]) -> list[str]:
    """A note on each attack instrument of the other samples that no dev sample shows."""
    kinds = {sample.species for sample in others} - {sample.species for sample in dev}
    return [_absence(f"the attack {kind}") for kind in sorted(filter(None, kinds))]


def _absence(what: str) -> str:
    return f"no dev sample shows {what}, but other samples do: the threshold was not chosen for it"


def detector_notes(manifest: Path, bundle: Bundle) -> list[str]:
    """A note if the faces of a manifest were found by another detector than the faces of the training data."""
    found_by = origin_of(manifest).get("detector")
    specs = [network.preprocess for network in bundle.description.networks]
    others = {spec.detector for spec in specs if spec.needs_face and spec.detector != found_by}
    if found_by is None or not others:
        return []
    learnt = " and ".join(sorted(others))
    return [
        f"faces were found by {found_by}, but the network was trained on faces found by {learnt}: "
        "facepad data prepare --for MODEL takes the model's detector"
    ]
