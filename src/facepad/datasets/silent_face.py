"""The training folders of Silent-Face-Anti-Spoofing: numbered class folders in folders of crops at several scales."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from facepad.datasets.adapter import Adapter, ProtocolInfo, Scan
from facepad.datasets.layout import Layout, Stated, read_layout, sort_samples
from facepad.datasets.splits import random80
from facepad.files.synonyms import SPLIT_SYNONYMS, normalise_name
from facepad.types import AttackType, Sample

__all__ = ["SILENT_FACE"]

_SCALE = r"(?P<scale>(?P<org>org_)?(?P<factor>\d+(?:\.\d+)?)_(?P<height>\d+)x(?P<width>\d+))"
_NAME = re.compile(rf"(?P<above>(?:[^/]+/)*?)(?:{_SCALE}/)?(?P<kind>[012])/(?P<name>[^/]+)", re.IGNORECASE | re.ASCII)
_SMALL = 128  # pixels; a face of a smaller image is too small for most networks


def _read(image: str) -> Stated | None:
    match = _NAME.fullmatch(image)
    if match is None:
        return None
    above = [normalise_name(part) for part in match["above"].split("/") if part]
    splits = [SPLIT_SYNONYMS[name] for name in above if name in SPLIT_SYNONYMS]
    if not match["scale"] and len(splits) < len(above):
        return None  # a folder "1" below any other folder may be a person
    real = match["kind"] == "1"
    return Stated(
        subject=image,  # the person is unknown; each image counts as a separate subject
        attack_type=None if real else AttackType.UNKNOWN,
        split=splits[-1] if splits else None,
        attributes={} if real else {"species": f"class {match['kind']}"},
    )


_LAYOUT = Layout(
    title="the folders of Silent-Face-Anti-Spoofing",
    example="RGB_Images/org_1_80x60/1/aaa.png",
    read=_read,
    images=True,
)


def _scale(sample: Sample) -> str:
    match = _NAME.fullmatch(str(PurePosixPath(sample.path).with_suffix("")))
    return (match["scale"] or "") if match else ""


def _chosen_scale(scales: Iterable[str]) -> str:
    """The scale folder that shows most: an ``org_`` folder, else the crop with the largest factor."""
    return max(scales, key=lambda name: (name.lower().startswith("org_"), float(name.split("_")[-2]) if name else 0.0))


def _keep_one_scale(samples: list[Sample], scan: Scan) -> list[Sample]:
    scales = Counter(map(_scale, samples))
    chosen = _chosen_scale(scales)
    others = sorted(name for name in scales if name != chosen)
    if others:
        scan.notes.append(
            f"{chosen or 'the class folders'}: {scales[chosen]} images are used; left out as the same images at other "
            f"scales: {', '.join(f'{name} ({scales[name]})' for name in others)}"
        )
    if chosen and min(map(int, chosen.split("_")[-1].lower().split("x"))) < _SMALL:
        scan.notes.append(
            f"{chosen}: the images are {chosen.split('_')[-1]} pixels (height x width); in such small images a "
            "detector may find no face, so prepare the original images if you have them"
        )
    return [sample for sample in samples if _scale(sample) == chosen]


def _scan(root: Path, protocol: str, seed: int) -> Scan:
    scan, samples = read_layout(root, _LAYOUT)
    samples = _keep_one_scale(samples, scan)
    scan.notes.append("class 1 is bona fide; classes 0 and 2 are attacks whose instruments the folders do not name")
    if protocol == "random80":
        scan.notes.append(
            "leaky protocol: no folder names a person, so images of one person may be in several splits, and the "
            "results say little about new people"
        )
        scan.folds[""] = sort_samples(random80(samples, seed))
        return scan
    if any(sample.split for sample in samples):
        scan.skipped.extend((s.path, "outside the train, dev and test folders") for s in samples if s.split is None)
        samples = [sample for sample in samples if sample.split]
    else:
        scan.notes.append("no train, dev and test folders: the manifest has no splits")
    scan.folds[""] = sort_samples(samples)
    return scan


SILENT_FACE = Adapter(
    name="silent-face",
    title="training folders of Silent-Face-Anti-Spoofing (RGB_Images)",
    licence="the licence of your images",
    citation="",
    protocols=(
        ProtocolInfo("auto", "the tree's own train, dev and test folders; without them, no splits", False),
        ProtocolInfo("random80", "random 80/20 of all images; subjects leak, because no folder names them", False),
    ),
    scan=_scan,
)
"""The adapter of the folders that Silent-Face-Anti-Spoofing trains on. Class 1 is the real face.

Its authors name the classes 2D attack (0), real (1) and 3D attack (2), and accept other divisions of the attacks.
Attacks therefore have the instrument ``unknown``, and the class as their species.
"""
