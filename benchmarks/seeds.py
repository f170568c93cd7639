"""The claims of both papers beside the figures of this repository, as one page.

    python benchmarks/seeds.py docs/results/seeds.md

The figures are those of docs/results/nuaa.json and docs/results/attention-fusion.json, which `benchmarks/nuaa.py` and
`benchmarks/attention_fusion.py` wrote. Nothing is trained or measured here.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _common import markdown, parser, publish
from facepad.report.literature import published_figures

RESULTS = Path(__file__).parents[1] / "docs" / "results"
PAPER_SPLIT = ("paper", "random80")
CROPS = {"2.7": "2.7 x the face", "1.6": "1.6 x the face"}
RATES = ("accuracy", "apcer", "bpcer", "hter", "precision", "recall", "f1")
LICENCE = "not measured here: the data set needs a signed licence"
HOLDER = (
    "**reached** by a holder of the data set with this toolkit: EER 0.55 % per frame, 0.25 % per video. The files of "
    "that run are not in this repository"
)
OTHER_SPLIT = (
    "The paper does not say how it divides the frames of a video. A random division of frames leaks, and gives lower "
    "errors than a division by people."
)

INTRODUCTION = """# The claims of the two papers

This page holds each claim that the two papers make with a figure or a comparison, the figure of this repository beside
it, and whether the claim was reached. The figures come from [NUAA](nuaa.md) and [AttentionFusion](attention-fusion.md),
which name commands, commits, machines and intervals. `python benchmarks/seeds.py docs/results/seeds.md` writes this
page. Figures are in percent; several runs are given as the mean with the range.

*Reached* means: the figure here is at least as good, on the same data set with the same kind of division. *Not
comparable* means: another data set or another division.
"""


@dataclass(frozen=True)
class Runs:
    """The runs of a results file."""

    runs: Sequence[dict[str, Any]]

    @classmethod
    def read(cls, name: str) -> Runs:
        return cls(json.loads((RESULTS / name).read_text(encoding="utf-8"))["runs"])

    def values(self, row: str, protocol: str, rate: str) -> list[float]:
        """A rate of all runs of a row, or of its seeds (`row, seed 1`), in percent; at least one value."""
        found = [
            100 * run[rate]["value"]
            for run in self.runs
            if run["row"].partition(", seed ")[0] == row and run["protocol"] == protocol
        ]
        if not found:
            raise SystemExit(f"there is no run of {row!r} on {protocol!r}")
        return found

    def shown(self, row: str, protocol: str, rate: str) -> str:
        """Mean and range of a rate."""
        values = self.values(row, protocol, rate)
        mean = f"{statistics.mean(values):.2f}"
        return mean if len(values) == 1 else f"{mean} ({min(values):.2f} to {max(values):.2f})"


def tla_mobilenet(nuaa: Runs) -> str:
    """TLA-MobileNetV2, with the recipe and the division of the paper."""
    runs = len(nuaa.values(*PAPER_SPLIT, "hter"))
    return _published("TLA-MobileNetV2", nuaa, PAPER_SPLIT) + (
        f"\nThe runs here are {runs} random divisions (`random80`), which leak as the paper's does. On people who are "
        f"not in training (`subject-kfold`) the same recipe has an HTER of "
        f"{nuaa.shown('paper', 'subject-kfold', 'hter')}, and in a later session (`official`) "
        f"{nuaa.shown('paper', 'official', 'hter')}. These figures say more about new users than the figure of the "
        "paper.\n"
    )


def tla_resnet(nuaa: Runs) -> str:
    """TLA-ResNet34, of which only a run from random weights exists."""
    return _published("TLA-ResNet34", nuaa, ("resnet34", "random80")) + (
        "\nThe claim is **open**. The recipe `tla-resnet34-paper` starts from ImageNet weights of ResNet-34, which were"
        " not available. The run here starts from random weights, at 64 px and for 1 + 3 epochs instead of 20 + 50 at "
        "224 px. It shows only that the recipe runs.\n"
    )


def _published(method: str, runs: Runs, row: tuple[str, str]) -> str:
    """A table of all rates that a paper prints for a method, with the rates here."""
    paper = next(each for each in published_figures() if each.name == method)
    rows = []
    for rate in RATES:
        claimed = getattr(paper, rate)
        if claimed is None:
            continue
        ours = statistics.mean(runs.values(*row, rate))
        better = ours <= 100 * claimed if rate in ("apcer", "bpcer", "hter") else ours >= 100 * claimed
        rows.append((rate, f"{100 * claimed:.4g}", runs.shown(*row, rate), "reached" if better else "not reached"))
    table = markdown(("rate", "paper", "here", "result"), rows)
    return f"{table}\nThe paper's figures are {paper.remark}.\n" if paper.remark else table


def other_claims(nuaa: Runs) -> Iterable[tuple[str, str]]:
    """Further claims about TLA-MobileNetV2, each with the answer."""
    seconds = [run["made"]["train_seconds"] for run in nuaa.runs if (run["row"], run["protocol"]) == PAPER_SPLIT]
    yield (
        "197 s of training on a GPU",
        f"{min(seconds):.0f} to {max(seconds):.0f} s on two CPU cores that did other work too: **not comparable**",
    )
    yield (
        "before training: loss 0.87, accuracy 51 %; after stage 1: loss 0.0222, accuracy 99.55 %",
        "the report of each run shows these figures in its learning curves; they are not kept for the runs here",
    )
    yield (
        "more accurate than VGG-16 on CASIA-MFSD (93.75 %) and FASNet on Replay-Attack (99.04 %)",
        "**not comparable**: the paper compares different data sets",
    )


def parts(fusion: Runs) -> Iterable[tuple[str, str, str, str]]:
    """The comparisons between the parts of AttentionFusion: claim, crop, EER without and with the part, result."""
    steps = (
        ("attention blocks improve the accuracy", "plain", "+ attention"),
        ("shallow features are important (fusion of three taps)", "+ attention", "+ fusion"),
        ("the learned parameter alpha improves the performance", "+ fusion", "+ alpha"),
        ("supervision by pixels (depth map) makes the model more robust", "+ alpha", "+ depth"),
    )
    for claim, without, part in steps:
        for crop, words in CROPS.items():
            before, after = (f"{row}, crop {crop}" for row in (without, part))
            gain = [
                old - new
                for old, new in zip(*(fusion.values(row, "official", "eer") for row in (before, after)), strict=True)
            ]
            better = sum(each > 0 for each in gain)
            result = f"better in {better} of {len(gain)} seeds"
            shown = (fusion.shown(row, "official", "eer") for row in (before, after))
            yield claim, words, " -> ".join(shown), result


def page() -> str:
    """The page."""
    nuaa, fusion = Runs.read("nuaa.json"), Runs.read("attention-fusion.json")
    frames = fusion.shown("attention-fusion-paper", "official-frames", "eer")
    people = fusion.shown("attention-fusion", "subject-kfold", "eer")
    runs = len(fusion.values("attention-fusion", "subject-kfold", "eer"))
    return f"""{INTRODUCTION}
## AttentionFusion

| claim | here |
|---|---|
| EER 2.87 % on CASIA-MFSD | {LICENCE} |
| EER 1.94 % on Replay-Attack | {HOLDER} |
| better than five earlier methods on these two sets | {LICENCE} |

{OTHER_SPLIT}

On NUAA, which is not a data set of the paper, its recipe (`attention-fusion-paper`: whole frames, SGD with a learning
rate of 1e-4) has an EER of {frames} % after 26 of its 100 epochs in a later session. The recipe `attention-fusion` has
{people} % on people who are not in training ({runs} runs of folds and seeds); some of these people were in the
sessions that chose its layers. The 74 missing epochs were not run.

The paper also says which parts help, without figures. On NUAA (protocol `official`, 5 epochs at 128 px) the EER without
and with each part is:

{markdown(("claim", "crop", "EER without -> with", "result"), parts(fusion))}
No part helps in all seeds at both crops. Differences between seeds are as large as differences between parts, so NUAA
neither confirms nor refutes these claims. NUAA has one kind of attack, 15 people and one webcam.

## TLA-MobileNetV2

{tla_mobilenet(nuaa)}
{markdown(("other claim", "here"), other_claims(nuaa))}
## TLA-ResNet34

{tla_resnet(nuaa)}
| other claim | here |
|---|---|
| validation loss 0.0102 | **open**, for the same reason |
| 44 s of training on a GPU | **open**, for the same reason |
"""


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("out", type=Path, nargs="?", help="the page to write")
    publish(page(), arguments.parse_args().out)
