"""A data set and an augmentation. This module imports no torch, so that data can be prepared without PyTorch."""

from pathlib import Path

import numpy as np

from facepad.datasets import Adapter, ProtocolInfo, Scan
from facepad.datasets.adapter import refuse_one_class, require_folder
from facepad.datasets.splits import split_subjects
from facepad.training.augment import Image, Operation
from facepad.types import AttackType, Label, Sample, Split

KINDS = {"live": (Label.BONA_FIDE, None), "print": (Label.ATTACK, AttackType.PRINT)}
SHARES = {Split.TRAIN: 0.5, Split.DEV: 0.25, Split.TEST: 0.25}


def scan(root: Path, protocol: str, seed: int) -> Scan:
    """Find pictures called ``live/ANNA_1.jpg`` and ``print/ANNA_1.jpg``. The seed divides the people at random."""
    require_folder(root)
    found, samples = Scan(root, {}), []
    for file in sorted(root.glob("*/*.jpg")):
        person = file.stem.partition("_")[0]
        if file.parent.name in KINDS:
            label, attack = KINDS[file.parent.name]
            samples.append(Sample(f"{file.parent.name}/{file.name}", person, label, attack))
        else:
            found.skipped.append((file.name, "not in the folder live or print"))
    refuse_one_class(samples, f"the two folders in {root}")
    split = split_subjects(samples, SHARES, seed)
    found.folds[""] = [Sample(s.path, s.subject, s.label, s.attack_type, split[s.subject]) for s in samples]
    return found


TWO_FOLDERS = Adapter(
    name="two-folders",
    title="pictures live/PERSON_NUMBER.jpg and print/PERSON_NUMBER.jpg",
    licence="your own",
    citation="",
    protocols=(ProtocolInfo("people", "train, dev and test share no people", subject_disjoint=True),),
    scan=scan,
)


def vignette(image: Image, rng: np.random.Generator) -> Image:
    """Darken the corners by up to 40 %, as a cheap lens does."""
    height, width = image.shape[:2]
    down, across = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    shade = 1 - rng.uniform(0, 0.4) * (down**2 + across**2) / 2
    return np.rint(image * shade[..., None]).astype(np.uint8)


VIGNETTE = Operation(vignette)
