"""Compare the decisions of an exported network with the trained network: all engines, floats and 8 bits, one manifest.

    python benchmarks/parity.py RUN MANIFEST WORK docs/results     writes parity.md

`facepad export` exports RUN twice with 8 bits, for ONNX Runtime and for OpenVINO. Each export also measures PyTorch and
the engines with floats. Exports that are already in WORK are not made again. The times are the CPU time for one
prepared face on one thread: the median of rounds in which the variants take turns.
"""

from __future__ import annotations

import json
import statistics
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from _common import commit, facepad, interleaved, machine, markdown, parser, timed
from facepad.datasets.manifest import manifest_words
from facepad.modelfile.bundle import SUFFIX, Bundle, read_bundle
from facepad.modelfile.runs import TrainedModel, load_trained
from facepad.modelfile.scorers import BundleScorer
from facepad.modelfile.scorers.run_scorer import EagerScorer, bundle_of
from facepad.runtime.inference import EngineName
from facepad.types import Box

ENGINES: dict[str, tuple[str, EngineName]] = {
    "ONNX Runtime": ("onnx", "onnxruntime"),
    "OpenVINO": ("openvino", "openvino"),
}
ROUNDS = 200
INTRODUCTION = """<!-- written by benchmarks/parity.py; do not edit by hand -->
# Parity

The table compares variants of one trained network, as `facepad export` writes them, on {images} test images of {data}.
**Score difference** is the largest difference from PyTorch. All variants use the calibration of PyTorch for it.
**Changed** is the number of test images on which a variant and PyTorch decide differently. Each variant uses its own
threshold for it: the variants of 8 bits have their own calibration and threshold, from dev. An export fails if a score
with floats differs by more than {score_limit:g}, if the ACER or EER with 8 bits is more than {rate_limit:g} points
higher, or if with 8 bits the APCER of an instrument is above the interval of PyTorch's APCER. Rates are in percent,
with 95 % intervals. **ms** is the CPU time for one face on one thread, without preprocessing. **x floats** is this time
divided by the time of 32 bit floats in the same engine.

"""


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("run", type=Path)
    options.add_argument("manifest", type=Path)
    options.add_argument("work", type=Path)
    options.add_argument("out", type=Path)
    chosen = options.parse_args(words)
    measured, bundles = {}, {}
    for engine, (form, _) in ENGINES.items():
        model = chosen.work / f"{chosen.run.name}-{form}-int8{SUFFIX}"
        if not model.exists():
            words = ("--format", form, "--quantize", "int8", "--calibration", chosen.manifest)
            facepad("export", chosen.run, model, "--manifest", chosen.manifest, *words, "--force")
        measured[engine] = json.loads(model.with_name(f"{model.name}.parity.json").read_text(encoding="utf-8"))
        bundles[engine] = read_bundle(model)
    speeds = milliseconds(load_trained(chosen.run), bundles)
    text = page(measured, speeds, chosen.manifest)
    (chosen.out / "parity.md").write_text(text, encoding="utf-8")
    print(text)


def milliseconds(trained: TrainedModel, in_int8: dict[str, Bundle]) -> dict[str, float]:
    """Variant -> median CPU time of scoring one prepared face on one thread, in ms."""
    torch.set_num_threads(1)
    network = bundle_of(trained)
    scorers: dict[str, Any] = {"PyTorch": EagerScorer(trained, network.description.calibration)}
    for engine, (_, name) in ENGINES.items():
        scorers[engine] = BundleScorer(network, engine=name, threads=1)
    for engine, (_, name) in ENGINES.items():
        scorers[f"{engine}, int8"] = BundleScorer(in_int8[engine], engine=name, threads=1)
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    ways = {title: scoring(scorer, image) for title, scorer in scorers.items()}
    return {title: statistics.median(spent) for title, spent in interleaved(ways, ROUNDS).items()}


def scoring(scorer: Any, image: np.ndarray[Any, np.dtype[np.uint8]]) -> Callable[[], float]:
    prepared = [scorer.prepare(image, Box(220, 140, 420, 340))]
    return lambda: 1000 * timed(lambda: scorer.score(prepared), time.process_time)


def page(measured: dict[str, dict[str, Any]], speeds: dict[str, float], manifest: Path) -> str:
    variants = {variant["name"]: variant for one in measured.values() for variant in one["variants"]}
    reference = variants["PyTorch"]["metrics"]
    instruments = list(reference["instruments"])
    rows = [row(name, variants[name], instruments, speeds) for name in speeds]
    limits = next(iter(measured.values()))["limits"]
    counted = [reference["bpcer"], *(rates["apcer"] for rates in reference["instruments"].values())]
    introduction = INTRODUCTION.format(
        images=sum(rate["n"] for rate in counted),
        data=manifest_words(manifest),
        score_limit=limits["max_score_difference_fp32"],
        rate_limit=100 * limits["acer_int8"],
    )
    columns = [
        "variant",
        "score difference",
        "changed",
        "ACER",
        "EER",
        "BPCER",
        *(f"APCER {name}" for name in instruments),
    ]
    table = markdown([*columns, "ms", "x floats"], rows)
    failures = [f"- failed: {failure}\n" for one in measured.values() for failure in one["failures"]]
    facts = (
        f"- command: python benchmarks/parity.py RUN MANIFEST WORK docs/results\n- commit: {commit()}\n"
        f"- date: {time.strftime('%Y-%m-%d')}\n- machine: {machine()}, {instruction_set()}\n"
    )
    head, _, prose = introduction.partition("# Parity\n\n")
    introduction = f"{head}# Parity\n\n{textwrap.fill(prose, 120, break_on_hyphens=False)}\n\n"
    return f"{introduction}{table}\n{''.join(failures)}{facts}"


def row(name: str, variant: dict[str, Any], instruments: list[str], speeds: dict[str, float]) -> list[str]:
    metrics = variant["metrics"]
    rates = [metrics[rate] for rate in ("acer", "eer", "bpcer")]
    rates += [metrics["instruments"][instrument]["apcer"] for instrument in instruments]
    ratio = speeds[name] / speeds[name.removesuffix(", int8")]
    difference, changed = f"{variant['max_score_difference']:.2g}", str(len(variant["decisions_changed"]))
    return [name, difference, changed, *map(percent, rates), f"{speeds[name]:.2f}", f"{ratio:.2f}"]


def percent(rate: dict[str, float]) -> str:
    return f"{100 * rate['value']:.2f} [{100 * rate['low']:.2f}, {100 * rate['high']:.2f}]"


def instruction_set() -> str:
    """The CPU's best instruction set for 8 bit products. It determines the speed of int8 networks."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return "CPU not known"
    return next((name for name in ("amx_int8", "avx512_vnni", "avx_vnni", "avx2") if name in flags), "no AVX2")


if __name__ == "__main__":
    main()
