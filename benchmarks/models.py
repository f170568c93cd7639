"""Compare models on one manifest, and write the page that helps an integrator to choose a model.

    python benchmarks/models.py MANIFEST WORK docs/results MODEL...     writes models.md and models.json

Each model is measured on the test samples of the manifest, with a threshold chosen on the dev samples by `eer`. A model
file with a threshold is also measured at this threshold. Reports that are already in WORK are not made again.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from _common import commit, interleaved, machine, parser, timed
from _runs import measured
from facepad.datasets.manifest import manifest_hash
from facepad.modelfile.bundle import Bundle
from facepad.modelfile.catalog import find_model
from facepad.modelfile.scorers import BundleScorer
from facepad.types import Box

RATES = ("eer", "apcer", "bpcer", "acer")
INTRODUCTION = """<!-- written by benchmarks/models.py; do not edit by hand -->
# Models on NUAA

All models are measured on the same images with the same face squares. The images are fold 0 of `subject-kfold`: the
test people are not in the training data of our models. The threshold **on dev** is chosen on the manifest's dev by
`eer`. The threshold **its own** is the threshold in the model file. Rates are in percent, with 95 % intervals. **ms**
is the time of the networks for one face on one thread: the median of 50 rounds in which the models took turns. NUAA has
one attack instrument (prints), 15 people and one webcam. On other data the order of the models may be different.

| model | threshold | EER | APCER | BPCER | ACER | networks MB | ms | licence |
|---|---|---|---|---|---|---|---|---|
"""


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("manifest", type=Path)
    options.add_argument("work", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("models", nargs="+")
    arguments = options.parse_args(words)
    rows: list[dict[str, Any]] = []
    bundles = {model: find_model(model).read() for model in arguments.models}
    speeds = milliseconds(bundles)
    for model, bundle in bundles.items():
        thresholds = {"on dev": ["--criterion", "eer"]}
        if bundle.description.threshold is not None:
            thresholds["its own"] = []
        for threshold, words in thresholds.items():
            report = arguments.work / f"{bundle.description.name}-{threshold.replace(' ', '-')}"
            metrics = measured(model, arguments.manifest, report, "--no-probes", *words)
            rows.append(
                {
                    "model": bundle.description.name,
                    "threshold": threshold,
                    **{name: metrics[name] for name in RATES},
                    "megabytes": megabytes(bundle),
                    "milliseconds": speeds[model],
                    "license": bundle.description.license,
                }
            )
    facts = {
        "command": f"python benchmarks/models.py MANIFEST WORK docs/results {' '.join(Path(m).name for m in bundles)}",
        "manifest": f"{arguments.manifest.name}, SHA-256 {manifest_hash(arguments.manifest)}",
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
    }
    lines = [line(row) for row in rows] + ["", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    (arguments.out / "models.json").write_text(json.dumps({"facts": facts, "rows": rows}, indent=1) + "\n", "utf-8")
    (arguments.out / "models.md").write_text(INTRODUCTION + "\n".join(lines), encoding="utf-8")


def megabytes(bundle: Bundle) -> float:
    """Size of the network files, in megabytes. Weights for further training are not counted."""
    files = {name for network in bundle.description.networks for name in network.files}
    return sum(len(bundle.files[name]) for name in files) / 1e6


def milliseconds(bundles: dict[str, Bundle]) -> dict[str, float]:
    """Model -> median wall time of scoring one prepared face on one thread, in ms. The models take turns."""
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    scorers = {name: BundleScorer(bundle, threads=1) for name, bundle in bundles.items()}
    prepared = {name: [scorer.prepare(image, Box(220, 140, 420, 340))] for name, scorer in scorers.items()}
    ways = {name: partial(timed, partial(scorer.score, prepared[name])) for name, scorer in scorers.items()}
    return {name: 1000 * statistics.median(rounds) for name, rounds in interleaved(ways, 50).items()}


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    rates = (
        f"{100 * row[name]['value']:.2f} [{100 * row[name]['low']:.2f}, {100 * row[name]['high']:.2f}]"
        for name in RATES
    )
    cells = [row["model"], row["threshold"], *rates, f"{row['megabytes']:.1f}", f"{row['milliseconds']:.1f}"]
    return f"| {' | '.join([*cells, row['license']])} |"


if __name__ == "__main__":
    main()
