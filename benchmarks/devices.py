"""One process beside two, same batches: python benchmarks/devices.py [--subjects 12] [--out docs/results/devices.md]

Trains tla-mobilenetv2 on the synthetic set: in one process, in two that facepad starts, in two that torchrun starts,
and in one that takes each batch in parts; with SGD and with the recipe's AdamW, in double and in single precision.
Batch norm is frozen, dropout and augmentation are off, so that only rounding may tell the curves apart. Needs the
ImageNet weights (FACEPAD_MODELS, or the network). Speed is not measured: the processes share the cores of one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _common import FACEPAD, made_by, parser, publish
from facepad.datasets.manifest import write_manifest
from facepad.datasets.synthetic import SyntheticSet, generate
from facepad.modelfile.run_folder import read_epochs

PLAIN = ["augment={}", "model.dropout=0", "preprocess.size=96"]
SGD = [f"stages.{number}.{change}" for number in (0, 1) for change in ("optimizer=sgd", "lr=0.001")]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "facepad")
DOUBLE = ["train.precision=64-true"]
SECTIONS = {
    f"SGD ({', '.join(SGD)}), double precision": [*SGD, *DOUBLE],
    "SGD, single precision": SGD,
    "AdamW (the recipe's), double precision": DOUBLE,
    "AdamW, single precision": [],
}
Epochs = list[dict[str, Any]]
RUNS = {
    "one process": (FACEPAD, []),
    "two, `--devices 2`": (FACEPAD, ["--devices", "2"]),
    "two, torchrun": (TORCHRUN, []),
    "one, in 4 parts (`accumulate`)": (FACEPAD, ["--set", "train.accumulate=4"]),
}


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--subjects", type=int, default=12, help="of the synthetic set, 50 images each")
    options.add_argument("--out", type=Path, help="write the page there, too")
    arguments = options.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="facepad-devices-") as name:
        folder = Path(name)
        write_manifest(
            folder / "data" / "manifest.csv",
            generate(folder / "data", SyntheticSet(subjects=arguments.subjects), progress=True),
        )
        curves = [
            [trained(folder / f"run-{section}-{number}", *how, sets) for number, how in enumerate(RUNS.values())]
            for section, sets in enumerate(SECTIONS.values())
        ]
    text = page(arguments, curves)
    publish(text, arguments.out)


def trained(out: Path, command: tuple[str, ...], options: list[str], changes: list[str]) -> Epochs:
    """The epochs of one run."""
    sets = [word for change in PLAIN + changes for word in ("--set", change)]
    words = ["train", "tla-mobilenetv2", str(out.parent / "data" / "manifest.csv"), str(out), "--device", "cpu"]
    subprocess.run([*command, *words, *sets, *options], check=True)
    return read_epochs(out / "metrics.jsonl")


def page(arguments: argparse.Namespace, curves: list[list[Epochs]]) -> str:
    lines = [
        "# Several processes beside one",
        "",
        f"{made_by(f'python benchmarks/devices.py --subjects {arguments.subjects}')}. tla-mobilenetv2, "
        f"{len(curves[0][0]) - 1} epochs, {', '.join(PLAIN)}.",
        "",
        "In double precision, where rounding has next to no say, the curves should be one. In single precision they "
        "differ by the rounding of another order of a sum, and training makes that grow, with AdamW most: it divides a "
        "gradient by its usual size, and where that is next to nothing, rounding decides about the step. One process "
        "that takes its batch in parts differs, too.",
    ]
    for title, runs in zip(SECTIONS, curves, strict=True):
        lines += ["", f"## {title}", "", *table(runs)]
    return "\n".join(lines)


def table(runs: list[Epochs]) -> list[str]:
    lines = [
        "| run | largest difference of a loss | epoch by epoch | of an accuracy | dev loss at the end | dev accuracy |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in zip(RUNS, runs, strict=True):
        loss, accuracy = (difference(rows, runs[0], kind) for kind in ("loss", "accuracy"))
        growth = " ".join(f"{difference([a], [b], 'loss'):.0e}" for a, b in zip(rows, runs[0], strict=True))
        end = f"{rows[-1]['dev_loss']:.6f} | {rows[-1]['dev_accuracy']:.6f}"
        lines.append(f"| {name} | {loss:.1e} | {growth} | {accuracy:.1e} | {end} |")
    return lines


def difference(rows: Epochs, others: Epochs, kind: str) -> float:
    """The largest one of any epoch, in train and dev."""
    assert [(row["stage"], row["epoch"]) for row in rows] == [(row["stage"], row["epoch"]) for row in others]
    pairs = zip(rows, others, strict=True)
    return max(abs(row[key] - other[key]) for row, other in pairs for key in row if key.endswith(kind))


if __name__ == "__main__":
    main()
