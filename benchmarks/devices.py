"""One process beside two, same batches: python benchmarks/devices.py [--subjects 12] [--out docs/results/devices.md]

Trains tla-mobilenetv2 on the synthetic set: in one process, in two that facepad starts, in two that torchrun starts,
and in one that takes each batch in parts. Batch norm is frozen, dropout and augmentation are off, so that the curves
should be the same. Needs the ImageNet weights (FACEPAD_MODELS, or the network). Two processes share the cores that one
has alone, and are not meant to be faster here.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from facepad.datasets.manifest import write_manifest
from facepad.datasets.synthetic import generate
from facepad.training import read_epochs

PLAIN = ["augment={}", "model.dropout=0", "preprocess.size=96"]
SGD = [f"stages.{number}.{change}" for number in (0, 1) for change in ("optimizer=sgd", "lr=0.001")]
FACEPAD = [sys.executable, "-m", "facepad"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "facepad"]
Run = tuple[list[dict[str, Any]], float]
RUNS = {
    "one process": (FACEPAD, []),
    "two, `--devices 2`": (FACEPAD, ["--devices", "2"]),
    "two, torchrun": (TORCHRUN, []),
    "one, in 4 parts (`accumulate`)": (FACEPAD, ["--set", "train.accumulate=4"]),
}


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=12, help="of the synthetic set, 50 images each")
    parser.add_argument("--out", type=Path, help="write the page there, too")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="facepad-devices-") as name:
        folder = Path(name)
        write_manifest(folder / "data" / "manifest.csv", generate(folder / "data", subjects=arguments.subjects))
        runs = [
            [trained(folder, f"{number}-{len(sets)}", *how, sets) for number, how in enumerate(RUNS.values())]
            for sets in (SGD, [])
        ]
    text = page(arguments, *runs)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def trained(
    folder: Path, name: str, command: list[str], options: list[str], changes: list[str]
) -> tuple[list[dict[str, Any]], float]:
    """The epochs of one run, and its seconds."""
    out = folder / f"run-{name}"
    sets = [word for change in PLAIN + changes for word in ("--set", change)]
    words = ["train", "tla-mobilenetv2", str(folder / "data" / "manifest.csv"), str(out), "--device", "cpu"]
    started = time.monotonic()
    subprocess.run([*command, *words, *sets, *options], check=True)
    return read_epochs(out / "metrics.jsonl"), time.monotonic() - started


def page(arguments: argparse.Namespace, sgd: list[Run], adamw: list[Run]) -> str:
    lines = [
        "# Several processes beside one",
        "",
        f"`python benchmarks/devices.py --subjects {arguments.subjects}`, {date.today()}, {platform.platform()}, "
        f"{os.cpu_count()} cores. tla-mobilenetv2, {len(sgd[0][0]) - 1} epochs, "
        f"{', '.join(PLAIN)}; the first run computes the features of the frozen layers, the others find them.",
        "",
        f"## SGD ({', '.join(SGD)})",
        "",
        *table(sgd),
        "",
        "Largest difference of a loss, epoch by epoch: "
        + "; ".join(f"{name}: {growth(rows, sgd[0][0])}" for name, (rows, _) in list(zip(RUNS, sgd, strict=True))[1:])
        + ". It begins with rounding, and training makes it grow.",
        "",
        "## AdamW (the recipe's)",
        "",
        *table(adamw),
        "",
        "AdamW divides a gradient by its usual size: where that is next to nothing, rounding decides about the step, "
        "and the order of a sum makes another rounding. One process that takes its batch in parts differs, too.",
    ]
    return "\n".join(lines)


def table(runs: list[Run]) -> list[str]:
    alone = runs[0][0]
    lines = [
        "| run | seconds | largest difference of a loss | of an accuracy | dev loss at the end | dev accuracy |",
        "|---|---|---|---|---|---|",
    ]
    for name, (rows, seconds) in zip(RUNS, runs, strict=True):
        loss, accuracy = (difference(rows, alone, kind) for kind in ("loss", "accuracy"))
        end = f"{rows[-1]['dev_loss']:.6f} | {rows[-1]['dev_accuracy']:.6f}"
        lines.append(f"| {name} | {seconds:.0f} | {loss:.1e} | {accuracy:.1e} | {end} |")
    return lines


def growth(rows: list[dict[str, Any]], others: list[dict[str, Any]]) -> str:
    return " ".join(f"{difference([row], [other], 'loss'):.0e}" for row, other in zip(rows, others, strict=True))


def difference(rows: list[dict[str, Any]], others: list[dict[str, Any]], kind: str) -> float:
    """The largest one of any epoch, in train and dev."""
    assert [(row["stage"], row["epoch"]) for row in rows] == [(row["stage"], row["epoch"]) for row in others]
    pairs = zip(rows, others, strict=True)
    return max(abs(row[key] - other[key]) for row, other in pairs for key in row if key.endswith(kind))


if __name__ == "__main__":
    main()
