"""Measure what the policy for faces, frames and files refuses, what it costs on live clips, and how stable streams are.

    python benchmarks/mixtures.py [SCORES ...] [--threshold T] [--out docs/results/mixtures.md]

The first table counts how many of 200 made-up mixtures of live and attack scores are accepted. It needs no data. SCORES
are output folders of ``facepad score`` on single frames of live recordings. Their frames are cut into clips of 20
frames, and the second table gives the share of these clips that each length of a run refuses. Frames of one recording
have the same name up to the last underscore, or are named by their Unix time without the point. The third table counts
the changes of the verdict on 150 frames, frame by frame and with `facepad.Stream`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import cast, get_args

import numpy as np
import pyarrow.dataset
from numpy.typing import ArrayLike, NDArray

from _common import made_by, markdown, parser, publish
from facepad.modelfile.catalog import DEFAULT_MODEL, described_models
from facepad.modelfile.catalog.described import read_described
from facepad.predict.policy import RUN, decide_files
from facepad.predict.predictor import Predictor
from facepad.predict.stream import Stream
from facepad.types import Decision, FacePolicy, FrameDecision, Label, Policy

MIXTURES, FRAMES, STRIDES = 200, 20, (1, 2, 4)
STREAMS, STREAM = 100, 150
RUNS = (2, 3, 4, RUN, 6, 7)
KINDS: tuple[tuple[str, FacePolicy], ...] = (
    ("files", "largest"),
    ("frames in a row", "largest"),
    ("frames in any order", "largest"),
    ("faces", "all"),
    ("faces", "largest"),
)
Scores = NDArray[np.float64]
NO_MODEL = cast(Predictor, SimpleNamespace(pipeline=SimpleNamespace(faces="largest")))  # Scores are given.
Files = list[list[FrameDecision]]


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("scores", type=Path, nargs="*")
    options.add_argument("--threshold", type=float, help=f"of the made-up scores; default: that of {DEFAULT_MODEL}")
    options.add_argument("--out", type=Path)
    arguments = options.parse_args(words)
    command = "python benchmarks/mixtures.py " + " ".join(path.name for path in arguments.scores)
    threshold = default_threshold() if arguments.threshold is None else arguments.threshold
    sections = ["# Mixtures of live and attack", made_by(command.strip()), accepted(threshold)]
    if arguments.scores:
        sections.append(refused(arguments.scores))
    sections.append(stable(arguments.scores, threshold))
    publish("\n\n".join(sections), arguments.out)


def default_threshold() -> float:
    """The threshold in the description of the default model. The model's files are not needed."""
    threshold = read_described(described_models()[DEFAULT_MODEL]).threshold
    assert threshold is not None
    return threshold.value


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


def stable(folders: Sequence[Path], threshold: float) -> str:
    """The table of changes of the verdict on live frames, and of the frames until an attack is noticed."""
    rows = []
    for noise in (0.15, 0.2, 0.25):
        rng = np.random.default_rng(0)
        parts = [np.clip(rng.normal(0.75, noise, STREAM), 0, 1) for _ in range(STREAMS)]
        rows.append((f"made up, deviation {noise}", *steadiness(parts, threshold)))
    for folder in folders:
        recordings, own = read_scores(folder)
        parts = [part for one in recordings for part in np.split(one, range(STREAM, len(one), STREAM))]
        rows.append((folder.name, *steadiness([part for part in parts if len(part) == STREAM], own)))
    header = (
        "scores",
        "streams",
        "changes, single frames",
        "most",
        "changes, stream",
        "most",
        "first live after",
        "attack after",
    )
    return f"""## Changes of the verdict in {STREAM} live frames

Each stream has {STREAM} frames of a live face, and then 20 frames of an attack with scores from 0 to 0.1. The table has
the mean and the highest number of changes of the verdict during the live frames: of the verdicts on single frames, and
of the verdict of `facepad.Stream`, whose first verdict is no change. The last columns have the median number of frames
until the first live verdict, and until the attack is noticed. The made-up scores have a mean of 0.75, and a normal
distribution.

{markdown(header, rows)}"""


def steadiness(parts: Sequence[Scores], threshold: float) -> tuple[object, ...]:
    """The number of streams, the changes of single frames and of the stream, and the delays of both verdicts."""
    single, steady, live, noticed = [], [], [], []
    for scores in parts:
        stream = Stream(NO_MODEL)
        attack = np.random.default_rng(0).uniform(0, 0.1, 20)
        states = [stream.follow([Decision(None, float(score), threshold)]) for score in (*scores, *attack)]
        verdicts = [state.decision.verdict for state in states]
        single.append(changes(["live" if score >= threshold else "attack" for score in scores]))
        steady.append(changes([verdict for verdict in verdicts[:STREAM] if verdict != "undecided"]))
        live.append(verdicts.index("live") + 1 if "live" in verdicts else STREAM)
        noticed.append(verdicts[STREAM:].index("attack") + 1)
    counts = (f"{np.mean(single):.1f}", max(single), f"{np.mean(steady):.2f}", max(steady))
    return len(parts), *counts, f"{np.median(live):g}", f"{np.median(noticed):g}"


def changes(verdicts: Sequence[str]) -> int:
    return sum(one != other for one, other in pairwise(verdicts))


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
