"""AttentionFusion on NUAA: an ablation, a comparison with TLA-MobileNetV2, and a test on held-out kinds of attacks.

    python benchmarks/attention_fusion.py run NUAA_FOLDER WORK      make all missing files, models and reports
    python benchmarks/attention_fusion.py tables WORK docs/results  write attention-fusion.md and .json

In the ablation, all networks are trained on the same crops (128 px) for 5 epochs, and the trunk up to features.3 is
frozen at the ImageNet weights. WORK may be the work folder of benchmarks/nuaa.py. Its manifests and face boxes are then
used again. The labeller `facemesh` makes the depth maps. Its model file is in FACEPAD_MODELS, or is downloaded.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from _common import facepad
from _runs import HELD_OUT, Run, command_line, execute, machine_of, unseen_presentations
from facepad.metrics import Resampling, compare_files, read_scores
from facepad.metrics.intervals import percentile_interval
from facepad.metrics.table import score_table
from facepad.types import Split

CROPS = (2.7, 1.6)
SEEDS = (0, 1, 2)
FAMILIES = 'augment.families=["laser", "photo_paper", "lcd"]'
PLAIN_INPUT = ("augment.operations=[]", "augment.simulate=0", "augment.views=1")
#: Each step adds one part to the previous step.
STEPS = {
    "plain": ("model.attention=false", "model.fusion=false", "model.depth=false", *PLAIN_INPUT),
    "+ attention": ("model.fusion=false", "model.depth=false", *PLAIN_INPUT),
    "+ fusion": ("model.alpha=fixed", "model.depth=false", *PLAIN_INPUT),
    "+ alpha": ("model.depth=false", *PLAIN_INPUT),
    "+ depth": PLAIN_INPUT,
    "+ capture augmentation": ("augment.simulate=0",),
    "+ simulated presentation": (FAMILIES,),
}
WHOLE = list(STEPS)[-1]
OURS = "attention-fusion"
#: For comparison with our recipe: TLA-MobileNetV2 with the same crops, number of epochs and trainable layers.
PEER = "TLA-MobileNetV2, from features.12 on"
STAGE = (
    'stages=[{name="fuse", trainable_from="features.4", epochs=5, optimizer="adamw", lr=1e-3, schedule="one-cycle", '
    'weight_decay=0.01, batch_norm="frozen", label_smoothing=0.1}]'
)
OPERATIONS = 'augment.operations=["frame", "mirror", "light", "blur", "resolution", "noise", "cutout", "jpeg"]'
#: TLA-MobileNetV2 with the same crops and number of epochs: once with the augmentation of its own recipe, once with the
#: augmentation of the complete AttentionFusion network.
TLA = {
    "TLA-MobileNetV2": ("preprocess.size=128",),
    "TLA-MobileNetV2 with all augmentation": (
        "preprocess.size=128",
        OPERATIONS,
        "augment.simulate=0.33",
        FAMILIES,
    ),
}


#: The paper's recipe, on whole frames packed to 320 x 240. The recipe has 100 epochs, but there was GPU time for only
#: PAPER_EPOCHS. The learning rate is constant, so this run equals the first PAPER_EPOCHS epochs of a complete run.
PAPER_EPOCHS = 26
PAPER = Run(
    "attention-fusion-paper", "attention-fusion-paper", "official-frames", 0, (f"stages.0.epochs={PAPER_EPOCHS}",)
)


def runs() -> list[Run]:
    """All runs, the most important runs first, so that an interrupted `run` has the most useful results."""
    steps = list(STEPS)
    order = [steps[0], steps[-1], *TLA, *reversed(steps[1:-1])]
    rows = []
    for crop in CROPS:
        for seed in SEEDS:
            common = (f"preprocess.crop={crop}", f"train.seed={seed}", STAGE)
            for name in order:
                recipe = "attention-fusion" if name in STEPS else "tla-mobilenetv2"
                changes = STEPS[name] if name in STEPS else TLA[name]
                rows.append(Run(f"{name}, crop {crop}", recipe, "official", seed, (*common, *changes)))
    ours = [Run(OURS, OURS, "official", seed, (f"train.seed={seed}",), probes=seed == 0) for seed in SEEDS]
    late = STAGE.replace("features.4", "features.12.conv.1")
    ours += [
        Run(PEER, "tla-mobilenetv2", "official", seed, (f"train.seed={seed}", late, "preprocess.size=128"))
        for seed in SEEDS
    ]
    ours += [Run(OURS, OURS, "subject-kfold", fold) for fold in range(5)]
    return [*rows[: len(order)], *ours, *rows[len(order) :]]


def run(root: Path, work: Path) -> None:
    """Train and evaluate all networks, then evaluate some of them on presentations of held-out kinds."""
    execute(root, work, runs(), depth=True)
    frames = work / PAPER.manifest
    if not frames.exists():
        facepad("data", "pack", work / "official" / "manifest.csv", frames.parent, "--crop", "frame", "--size", 224)
    execute(root, work, [PAPER])
    unseen = unseen_presentations(work / "official" / "manifest.csv", work / "unseen-kinds")
    for entry in runs():
        out = work / "reports" / f"{entry.name}-unseen-kinds"
        wanted = (entry.protocol == "official" and "ugmentation" in entry.row) or "simulated" in entry.row
        if wanted and not (out / "metrics.json").exists():
            shutil.rmtree(out, ignore_errors=True)  # left by an interrupted evaluation
            facepad("evaluate", work / "runs" / entry.name, unseen, out, "--no-probes", "--no-thumbnails")


INTRODUCTION = """<!-- written by benchmarks/attention_fusion.py; do not edit by hand -->
# AttentionFusion on NUAA

Each step adds one part to the previous step:

- **plain**: MobileNetV2 up to `features.17`, a 1x1 projection, and the binary map. The output is the mean of the map.
- **+ attention**: attention blocks on the deep tap.
- **+ fusion**: also the shallow and the middle tap. The three taps are fused with a weight of 1/3 each.
- **+ alpha**: the weights of the taps (alpha) are learned.
- **+ depth**: the depth map, trained on the labels of `facemesh`.
- **+ capture augmentation**: augmentation of the crops.
- **+ simulated presentation**: a third of the bona fide crops is shown on simulated prints and screens, as attacks.
  This is the complete network.

All networks are trained on the same crops (128 px) for 5 epochs. `features.0` to `features.3` are frozen at their
ImageNet weights. TLA-MobileNetV2 is trained in the same way, once with the augmentation of its own recipe, and once
with the augmentation of the complete network. In the protocol `official`, the test is a later session. The threshold is
chosen on dev by `eer`. The figures are in percent: the mean over the seeds, with the range. Nothing was chosen on test.

NUAA has one attack instrument (printed photos), 15 people and one webcam. These figures say little about other cameras
or attacks.
"""


def tables(work: Path, out: Path) -> None:
    """Write attention-fusion.md and .json from the finished runs.

    Each row has the number of finished and of planned runs.
    """
    entries = [*runs(), PAPER]
    found = {entry: _metrics(work / "reports" / entry.name) for entry in entries}
    found = {entry: metrics for entry, metrics in found.items() if metrics}
    lines = [INTRODUCTION]
    for crop in CROPS:
        lines += [f"\n## Crop of {crop} x the face\n", "| network | seeds | EER | APCER | BPCER | HTER | AUC |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for row in (f"{name}, crop {crop}" for name in (*STEPS, *TLA)):
            group = [metrics for entry, metrics in found.items() if entry.row == row]
            cells = [_mean(group, name) for name in ("eer", "apcer", "bpcer", "hter", "auc")]
            lines.append(f"| {row.partition(',')[0]} | {len(group)} of {len(SEEDS)} | {' | '.join(cells)} |")
        lines += ["", *_paired(work, crop)]
    lines += [
        *_recipe_lines(found),
        *_probe_lines(work),
        *_paper_lines(work),
        "",
        *_against(work, PEER, OURS, f"{OURS} - {PEER}"),
    ]
    lines += _unseen_lines(work)
    made = [json.loads((work / "reports" / entry.name / "made.json").read_text(encoding="utf-8")) for entry in found]
    facts = {
        "command": "python benchmarks/attention_fusion.py run NUAA_FOLDER WORK; ... tables WORK docs/results",
        "commits of the runs": ", ".join(sorted({entry["commit"] for entry in made})),
        "dates of the runs": ", ".join(sorted({entry["date"] for entry in made})),
        "trained on": "; ".join(sorted({entry.get("machine", "not noted") for entry in made})),
        "written": time.strftime("%Y-%m-%d"),
    }
    lines += ["", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    out.mkdir(parents=True, exist_ok=True)
    rows = [{"row": entry.row, "protocol": entry.protocol, "part": entry.part, **m} for entry, m in found.items()]
    (out / "attention-fusion.json").write_text(json.dumps({"facts": facts, "runs": rows}, indent=1) + "\n", "utf-8")
    (out / "attention-fusion.md").write_text("\n".join(lines), encoding="utf-8")


def _metrics(report: Path) -> dict[str, dict[str, float]]:
    path = report / "metrics.json"
    if not (report / "made.json").exists():
        return {}
    metrics = json.loads(path.read_text(encoding="utf-8"))
    return {name: metrics[name] for name in ("eer", "apcer", "bpcer", "acer", "hter", "auc")}


def _mean(group: list[dict[str, dict[str, float]]], name: str) -> str:
    values = [100 * metrics[name]["value"] for metrics in group]
    if not values:
        return "-"
    spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def _paired(work: Path, crop: float) -> list[str]:
    """Lines that compare the complete network with TLA-MobileNetV2 on the same images."""
    return [
        line
        for other in TLA
        for line in _against(work, f"{other}, crop {crop}", f"{WHOLE}, crop {crop}", f"complete network - {other}")
    ]


def _against(work: Path, one: str, other: str, words: str) -> list[str]:
    """Lines with the EER of row ``other`` minus the EER of row ``one``: for each seed, and the mean over the seeds."""
    found = {}
    for seed in SEEDS:
        reports = [work / "reports" / Run(row, "", "official", seed).name for row in (one, other)]
        if all((report / "made.json").exists() for report in reports):
            found[seed] = [report / "scores.csv" for report in reports]
    lines = []
    for seed, pair in found.items():
        eer = compare_files(*pair).differences["eer"]
        p = "not defined" if eer.p is None else f"{eer.p:.3f}"
        lines.append(
            f"- EER difference ({words}), seed {seed}: {100 * eer.difference:+.3f} points, "
            f"paired bootstrap by subject p = {p}"
        )
    if len(found) == len(SEEDS):
        lines.append(f"- **EER difference ({words}), all seeds**: {_together(list(found.values()))}")
    return lines


def _together(pairs: list[list[Path]], replicates: int = 2000) -> str:
    """The mean EER difference over the seeds, with its bootstrap interval.

    Each bootstrap replicate uses the same subjects for all seeds.
    """
    resampling = Resampling(replicates=replicates)
    found, drawn = [], []
    for pair in pairs:
        values, draws = [], []
        for path in pair:
            test = [record for record in read_scores(path).records if record.split is Split.TEST]
            table = score_table([record for record in test if record.score is not None], "subject")
            ranking = table.ranking()
            values.append(ranking.read().eer())
            draws.append(table.bootstrap(ranking, lambda points: (points.eer(),), resampling)[:, 0])
        found.append(values[1] - values[0])
        drawn.append(draws[1] - draws[0])
    mean, means = statistics.mean(found), np.mean(drawn, axis=0)
    low, high = percentile_interval(mean, means[~np.isnan(means)])
    return f"{100 * mean:+.2f} points (mean), 95 % interval {100 * low:+.2f} to {100 * high:+.2f} (subjects resampled)"


def _recipe_lines(found: dict[Run, dict[str, dict[str, float]]]) -> list[str]:
    """The table that compares our recipe, TLA-MobileNetV2 and the paper's recipe."""
    lines = [
        "\n## The recipes\n",
        "The recipe `attention-fusion` uses crops of 2.7 x the face at 128 px and 5 epochs, and trains the layers from "
        "`features.12` on. TLA-MobileNetV2 is trained with the same crops, number of epochs and trainable layers. "
        "`attention-fusion-paper` is the paper's recipe (whole frames at 224 px, SGD with a learning rate of 1e-4) "
        f"after {PAPER_EPOCHS} of its 100 epochs. The test subjects of `subject-kfold` are not in its training data. "
        "However, the trainable layers were chosen on the official training sessions (attention-fusion-choice.md), and "
        "some subjects of these sessions are test subjects of a fold.\n",
        "| network | protocol | runs | EER | APCER | BPCER | ACER |",
        "|---|---|---|---|---|---|---|",
    ]
    for row, protocol, planned in (
        (OURS, "official", len(SEEDS)),
        (PEER, "official", len(SEEDS)),
        (OURS, "subject-kfold", 5),
        (PAPER.row, PAPER.protocol, 1),
    ):
        group = [metrics for entry, metrics in found.items() if (entry.row, entry.protocol) == (row, protocol)]
        cells = [_mean(group, name) for name in ("eer", "apcer", "bpcer", "acer")]
        lines.append(f"| {row} | {protocol} | {len(group)} of {planned} | {' | '.join(cells)} |")
    return lines


def _probe_lines(work: Path) -> list[str]:
    path = work / "reports" / Run(OURS, "", "official", 0).name / "metrics.json"
    probes = json.loads(path.read_text(encoding="utf-8")).get("probes") if path.exists() else None
    if not probes:
        return []
    eers = ", ".join(f"{name} {100 * probe['eer']['value']:.2f}" for name, probe in probes.items())
    return [f"\nEER of the short-cut probes of {OURS}, protocol `official`, seed 0, in percent: {eers}."]


def _paper_lines(work: Path) -> list[str]:
    log = work / "runs" / PAPER.name / "metrics.jsonl"
    if not log.exists():
        return []
    seconds = [row["seconds"] for line in log.read_text("utf-8").splitlines() if "seconds" in (row := json.loads(line))]
    machine = machine_of(log.parent)
    return [
        f"\nAn epoch of the paper's recipe took {statistics.median(seconds):.0f} s (median; {machine}). "
        "Other jobs ran on the machine at the same time."
    ]


def _unseen_lines(work: Path) -> list[str]:
    """The table of APCER and BPCER, at the dev threshold, on the held-out kinds of re-capture."""
    lines = [
        f"\n## Presentations of held-out kinds ({' and '.join(HELD_OUT)})\n",
        "The test has about every fourth bona fide test image twice: without re-capture, and as a simulated "
        "print or screen of a kind that no training used. The threshold was chosen on NUAA's dev.\n",
        "| network | seed | APCER (worst) | APCER print | APCER screen | BPCER | EER |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in runs():
        path = work / "reports" / f"{entry.name}-unseen-kinds" / "metrics.json"
        if path.exists():
            metrics = json.loads(path.read_text(encoding="utf-8"))
            kinds = [metrics["instruments"][kind]["apcer"] for kind in ("print", "replay_photo")]
            cells = [metrics["apcer"], *kinds, metrics["bpcer"], metrics["eer"]]
            values = " | ".join(f"{100 * rate['value']:.2f}" for rate in cells)
            lines.append(f"| {entry.row} | {entry.part} | {values} |")
    return lines


def main(words: Sequence[str] | None = None) -> None:
    command_line(__doc__, run, tables, words)


if __name__ == "__main__":
    main()
