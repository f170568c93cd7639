"""Merging of several manifests into one training manifest."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from facepad.datasets.manifest import manifest_text, read_manifest, resolve
from facepad.datasets.origin import add_run, origin_of
from facepad.datasets.splits import class_balance
from facepad.errors import InputError, OutputExistsError
from facepad.files.disk import write_text
from facepad.files.locks import exclusive
from facepad.files.opening import MaxBytes, read_bytes
from facepad.types import Sample, Split

__all__ = ["merge_manifests"]

_DETECTOR_OF_SEVERAL = "several"


def merge_manifests(manifests: Mapping[str, Path], out: Path) -> Path:
    """Write one manifest with the train and dev samples of several manifests.

    Paths stay relative: they lead from the new manifest's folder to the images. Samples without a split become training
    samples. A subject's name that occurs in several sets gets the name of its set in front ("nuaa/1"), because equal
    names in different sets do not mean the same person.

    Args:
        manifests: Name of a set to its manifest. At least one.
        out: The new manifest. An existing file with the same content is kept.

    Returns:
        ``out``.

    Raises:
        InputError: two manifests list the same image.
        BusyError: another block of this process writes to the folder of ``out``.
        OutputExistsError: ``out`` exists and was made from other manifests.
        ManifestError: a manifest is missing or breaks the contract.
    """
    parts = {name: _learnt(read_manifest(path)) for name, path in manifests.items()}
    _refuse_shared_images(manifests, parts)
    people = Counter(subject for part in parts.values() for subject in {sample.subject for sample in part})
    merged = [
        replace(
            sample,
            path=Path(os.path.relpath(resolve(manifests[name], sample), out.parent)).as_posix(),
            subject=f"{name}/{sample.subject}" if people[sample.subject] > 1 else sample.subject,
        )
        for name, part in parts.items()
        for sample in part
    ]
    with exclusive(out.parent, "merging manifests", wait=True):
        _write(out, merged, parts, manifests)
    return out


def _write(out: Path, merged: list[Sample], parts: Mapping[str, list[Sample]], manifests: Mapping[str, Path]) -> None:
    """Write the merged manifest and its origin; a file with the same content is kept."""
    text = manifest_text(merged, str(out))
    if out.exists():
        if read_bytes(out, MaxBytes.TABLE) != text.encode():
            raise OutputExistsError(f"{out} was merged from other manifests; choose another output folder")
        return
    sources = {name: dict(Counter(str(sample.split) for sample in part)) for name, part in parts.items()}
    about = {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "counts": class_balance(merged),
        "sources": sources,
    }
    if origin := _common_origin(manifests):
        add_run(out.parent, origin | {"manifests": {out.name: about}})
    write_text(out, text)


def _learnt(samples: list[Sample]) -> list[Sample]:
    return [replace(s, split=s.split or Split.TRAIN) for s in samples if s.split is not Split.TEST]


def _refuse_shared_images(manifests: Mapping[str, Path], parts: Mapping[str, list[Sample]]) -> None:
    seen: dict[tuple[str, int | None], str] = {}
    for name, part in parts.items():
        for sample in part:
            key = os.path.realpath(resolve(manifests[name], sample)), sample.frame
            if seen.setdefault(key, name) != name:
                raise InputError(
                    f"{manifests[seen[key]]} and {manifests[name]} both list {key[0]}; train on one of the two"
                )


def _common_origin(manifests: Mapping[str, Path]) -> dict[str, Any]:
    """The origin of the merged manifest, with the detector of the boxes; empty if one of the origins is unknown."""
    origins = [origin_of(path) for path in manifests.values()]
    if not all(origins):
        return {}
    detectors = {origin["detector"] for origin in origins}
    return {
        "dataset": " + ".join(manifests),
        "protocol": " + ".join(str(origin.get("protocol", "")) for origin in origins),
        "detector": detectors.pop() if len(detectors) == 1 else _DETECTOR_OF_SEVERAL,
    }
