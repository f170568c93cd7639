"""A manifest whose images tell their numbers."""

import numpy as np
import pytest

from facepad.datasets.manifest import write_manifest
from facepad.media.images import write_image
from facepad.types import AttackType, Label, Sample
from helpers.depth_labels import BOX


@pytest.fixture
def manifest(tmp_path):
    """40 bona fide images (one without a box) and 4 attacks whose files do not exist."""
    samples = []
    for number in range(40):
        name = f"real/{number:02}.png"
        write_image(tmp_path / name, np.full((64, 64, 3), 100 + number, np.uint8))
        samples.append(Sample(name, f"s{number % 5}", Label.BONA_FIDE, box=None if number == 39 else BOX))
    for number in range(4):
        samples.append(Sample(f"fake/{number}.png", "s0", Label.ATTACK, AttackType.PRINT, box=BOX))
    write_manifest(tmp_path / "manifest.csv", samples)
    return tmp_path / "manifest.csv"
