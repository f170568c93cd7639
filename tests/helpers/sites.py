"""Small site folders: each picture is one coloured square with noise, which the stub detector takes for a face."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from facepad.media.images import write_image
from helpers.squares import BLUE, RED, picture

PEOPLE = ("anna", "ben", "carl", "dora")


def photo(path: Path, *, live: bool = True, size: int = 64, seed: int = 0, quality: int = 95) -> Path:
    """Write a picture that no other seed gives; live pictures are red, attacks are blue."""
    noise = np.random.default_rng(seed).integers(0, 60, (8, 8, 3), dtype=np.uint8)
    blocks = np.kron(noise, np.ones((size // 8, size // 8, 1), np.uint8))
    write_image(path, picture(RED if live else BLUE, size=size) + blocks, quality)
    return path


def site(root: Path, people: Iterable[str] = PEOPLE, *, kinds: Iterable[str] = ("print",), images: int = 2) -> Path:
    """A site with live pictures and attacks of each person."""
    number = 0
    for person in people:
        for folder in ("live", *(f"spoof/{kind}" for kind in kinds)):
            for image in range(images):
                number += 1
                photo(root / folder / person / f"{image}.jpg", live=folder == "live", seed=number)
    return root
