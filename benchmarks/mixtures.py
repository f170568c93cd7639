"""Measure what the policy for faces, frames and files refuses, and what it costs on live clips.

    python benchmarks/mixtures.py [SCORES ...] [--threshold T] [--out docs/results/mixtures.md]

The first table counts how many of 200 made-up mixtures of live and attack scores are accepted. It needs no data. SCORES
are output folders of ``facepad score`` on single frames of live recordings. Their frames are cut into clips of 20
frames, and the second table gives the share of these clips that each length of a run refuses. Frames of one recording
have the same name up to the last underscore, or are named by their Unix time without the point.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import get_args

import numpy as np
import pyarrow.dataset
from numpy.typing import ArrayLike, NDArray

from _common import made_by, markdown, parser, publish
from facepad.predict.policy import RUN, decide_files
from facepad.types import Decision, FacePolicy, FrameDecision, Label, Policy

MIXTURES, FRAMES, STRIDES = 200, 20, (1, 2, 4)
RUNS = (2, 3, 4, RUN, 6, 7)
THRESHOLD = 0.43  # of the default model
KINDS: tuple[tuple[str, FacePolicy], ...] = (
    ("files", "largest"),
    ("frames in a row", "largest"),
    ("frames in any order", "largest"),
    ("faces", "all"),
    ("faces", "largest"),
)
Scores = NDArray[np.float64]
Files = list[list[FrameDecision]]


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("scores", type=Path, nargs="*")
    options.add_argument("--threshold", type=float, default=THRESHOLD, help="the threshold of the made-up scores")
    options.add_argument("--out", type=Path)
    arguments = options.parse_args(words)
    command = "python benchmarks/mixtures.py " + " ".join(path.name for path in arguments.scores)
    sections = ["# Mixtures of live and attack", made_by(command.strip()), accepted(arguments.threshold)]
    if arguments.scores:
        sections.append(refused(arguments.scores))
    publish("\n\n".join(sections), arguments.out)


def accepted(threshold: float) -> str:
    """The table of accepted mixtures."""
    rows = []
    for kind, faces in KINDS:
        rng = np.random.default_rng(0)
        mixtures = [mixture(kind, rng, threshold) for _ in range(MIXTURES)]
        counts = (
            sum(decide_files(files, policy, faces=faces).label is Label.BONA_FIDE for files in mixtures)
            for policy in get_args(Policy)
        )
        rows.append((kind, faces, len(mixtures), *counts))
    table = markdown(("mixture of", "faces that count", "made up", *(f"`{one}`" for one in get_args(Policy))), rows)
    return f"""## Accepted mixtures

The table counts accepted mixtures by policy. Before the policy `all`, files and frames were decided by `mean`. Live
scores are uniform from 0.8 to 1, attack scores from 0 to 0.1, and the threshold is {threshold}. *Files*: one to five
live images or clips, and an attack. *Frames*: {RUN} to 18 consecutive frames of a clip of {FRAMES}, or 10 to 18 in any
order, are an attack. *Faces*: the second face of each frame is an attack.

{table}"""


def mixture(kind: str, rng: np.random.Generator, threshold: float) -> Files:
    """The frames of one to six files, of which at least one is, or has, an attack."""
    live, attack = rng.uniform(0.8, 1, FRAMES), rng.uniform(0, 0.1, FRAMES)
    if kind == "files":
        lengths = [int(rng.choice([1, FRAMES])) for _ in range(rng.integers(1, 6))]
        files = [*(clip(rng.uniform(0.8, 1, length), threshold) for length in lengths), clip(attack[:1], threshold)]
        return [files[number] for number in rng.permutation(len(files))]
    if kind == "faces":
        return [clip(live, threshold, attack)]
    in_a_row = kind == "frames in a row"
    attacked = np.arange(FRAMES) < rng.integers(RUN if in_a_row else FRAMES // 2, 19)
    chosen = np.roll(attacked, rng.integers(FRAMES - attacked.sum() + 1)) if in_a_row else rng.permutation(attacked)
    return [clip(np.where(chosen, attack, live), threshold)]


def clip(scores: Scores, threshold: float, *others: Scores) -> list[FrameDecision]:
    """The frames of a clip, by the scores of the first face and of the other faces in each frame."""
    return [
        FrameDecision(number, 0.0, tuple(Decision(None, float(score), threshold) for score in of_frame))
        for number, of_frame in enumerate(zip(scores, *others, strict=True))
    ]


def refused(folders: Sequence[Path]) -> str:
    """The table of refused live clips."""
    rows = []
    for folder in folders:
        recordings, threshold = read_scores(folder)
        for stride in STRIDES:
            below = [scores < threshold for scores in recordings]
            clips = [one for scores in recordings for one in cut(scores, stride)]
            by_mean = [bool(one.mean() < threshold) for one in clips]
            by_run = ([attacked(one < threshold, run) for one in clips] for run in RUNS)
            shares = (percent(np.logical_or(by_mean, found)) for found in by_run)
            rows.append((folder.name, stride, len(clips), percent(np.concatenate(below)), percent(by_mean), *shares))
    header = ("set", "every nth frame", "clips", "frames", "mean alone", *(f"run of {run}" for run in RUNS))
    return f"""## Refused live clips

The table gives the percent of live clips that are refused by the mean of the frame scores alone, and by mean, median
and a run of 2 to 7 attack frames. The policy `all` takes a run of {RUN}. The column *frames* has the percent of single
frames below the threshold. Clips have {FRAMES} frames, and overlap by half.

{markdown(header, rows)}"""


def read_scores(folder: Path) -> tuple[list[Scores], float]:
    """The scores of each live recording in order, and the threshold."""
    table = pyarrow.dataset.dataset(folder, format="parquet", exclude_invalid_files=True)
    recordings: dict[str, list[tuple[float, float]]] = {}
    threshold = float("nan")
    for row in table.to_table(columns=["key", "label", "score", "threshold"]).to_pylist():
        if row["score"] is not None and row["label"] != "attack":
            name, number = place(row["key"])
            recordings.setdefault(name, []).append((number, row["score"]))
            threshold = row["threshold"]
    return [np.array([score for _, score in sorted(one)]) for one in recordings.values()], threshold


def place(key: str) -> tuple[str, float]:
    """The recording and the order of a frame, from its name.

    >>> place("0001/0001_00_00_01_170.jpg"), place("Real/17431749019986887.jpg")
    (('0001_00_00_01', 170.0), ('', 1743174901.9986887))
    """
    stem = PurePosixPath(key).stem
    if time := re.fullmatch(r"(\d{10})(\d+)", stem):
        return "", float(f"{time[1]}.{time[2]}")
    name, _, number = stem.rpartition("_")
    return name, float(number)


def cut(scores: Scores, stride: int) -> Iterator[Scores]:
    """Clips of 20 frames, of every nth frame."""
    length = FRAMES * stride
    for start in range(0, len(scores) - length + 1, length // 2):
        for offset in range(stride):
            yield scores[start + offset : start + length : stride]


def attacked(below: NDArray[np.bool_], run: int) -> bool:
    """Whether half of the frames, or a run of frames, are below the threshold."""
    return bool(below.mean() >= 0.5 or np.lib.stride_tricks.sliding_window_view(below, run).all(axis=1).any())


def percent(flags: ArrayLike) -> str:
    return f"{100 * np.mean(flags):.1f}"


if __name__ == "__main__":
    main()
