"""Scores files of two splits, with the polarity that a test wants."""

from __future__ import annotations

import random
from pathlib import Path


def lines(split: str, high: str, seed: int = 0) -> list[str]:
    """80 lines of one split. Scores of the class `high` are mostly above those of the other class."""
    draw = random.Random(seed)
    means = {True: 0.7, False: 0.3}
    scores = [(label, draw.gauss(means[label == high], 0.15)) for label in ["live", "spoof"] * 40]
    return [f"{label},{split},{score!r},{split}/{number}.png" for number, (label, score) in enumerate(scores)]


def write(path: Path, *parts: list[str]) -> Path:
    path.write_text("\n".join(["label,split,score,path", *(line for part in parts for line in part), ""]))
    return path
