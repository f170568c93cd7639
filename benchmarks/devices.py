"""Compare training in two processes with training in one process.

    python benchmarks/devices.py [--subjects 12] [--out docs/results/devices.md]

The script trains tla-mobilenetv2 on the synthetic set in four ways: in one process, in two processes that facepad
starts, in two processes that torchrun starts, and in one process that divides each batch into parts. It uses SGD and
the recipe's AdamW, in double and in single precision. Batch norm is frozen, and dropout and augmentation are off, so
that the curves may differ only by rounding. The ImageNet weights come from FACEPAD_MODELS, or are downloaded. Speed is
not measured, because the processes share the CPU cores.
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
    "two processes, `--devices 2`": (FACEPAD, ["--devices", "2"]),
    "two processes, torchrun": (TORCHRUN, []),
    "one process, batches in 4 parts (`accumulate`)": (FACEPAD, ["--set", "train.accumulate=4"]),
}


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--subjects", type=int, default=12, help="subjects in the synthetic set, 50 images each")
    options.add_argument("--out", type=Path, help="also write the page to this file")
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
    """Train, and return the metrics of all epochs."""
    sets = [word for change in PLAIN + changes for word in ("--set", change)]
    words = ["train", "tla-mobilenetv2", str(out.parent / "data" / "manifest.csv"), str(out), "--device", "cpu"]
    subprocess.run([*command, *words, *sets, *options], check=True)
    return read_epochs(out / "metrics.jsonl")


def page(arguments: argparse.Namespace, curves: list[list[Epochs]]) -> str:
    lines = [
        "# Two processes compared with one",
        "",
        f"{made_by(f'python benchmarks/devices.py --subjects {arguments.subjects}')}. tla-mobilenetv2, "
        f"{len(curves[0][0]) - 1} epochs, {', '.join(PLAIN)}.",
        "",
        "In double precision, rounding has almost no effect, and the curves should be equal. In single precision, the "
        "curves differ, because another order of a sum gives another rounding. Training makes the differences grow, "
        "most of all with AdamW: it divides a gradient by the gradient's usual size. If this size is almost zero, "
        "rounding determines the step. One process that divides its batches into parts also differs.",
    ]
    for title, runs in zip(SECTIONS, curves, strict=True):
        lines += ["", f"## {title}", "", *table(runs)]
    return "\n".join(lines)


def table(runs: list[Epochs]) -> list[str]:
    lines = [
        "| run | largest loss difference | loss difference per epoch | largest accuracy difference | last dev loss "
        "| last dev accuracy |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in zip(RUNS, runs, strict=True):
        loss, accuracy = (difference(rows, runs[0], kind) for kind in ("loss", "accuracy"))
        growth = " ".join(f"{difference([a], [b], 'loss'):.0e}" for a, b in zip(rows, runs[0], strict=True))
        end = f"{rows[-1]['dev_loss']:.6f} | {rows[-1]['dev_accuracy']:.6f}"
        lines.append(f"| {name} | {loss:.1e} | {growth} | {accuracy:.1e} | {end} |")
    return lines


def difference(rows: Epochs, others: Epochs, kind: str) -> float:
    """The largest difference in loss or accuracy (``kind``) over all epochs, on train and dev."""
    assert [(row["stage"], row["epoch"]) for row in rows] == [(row["stage"], row["epoch"]) for row in others]
    pairs = zip(rows, others, strict=True)
    return max(abs(row[key] - other[key]) for row, other in pairs for key in row if key.endswith(kind))


if __name__ == "__main__":
    main()
