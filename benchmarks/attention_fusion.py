"""AttentionFusion on NUAA: its parts added one by one, against TLA-MobileNetV2, and on presentations it never saw.

    python benchmarks/attention_fusion.py run NUAA_FOLDER WORK      prepare, depth maps, train, evaluate; resumes
    python benchmarks/attention_fusion.py tables WORK docs/results  attention-fusion.md and .json from what is finished

All networks of a table see the same crops at 128 px for the same 5 epochs, with the trunk up to features.3 as ImageNet
left it. WORK may be the one of benchmarks/nuaa.py; manifests and boxes are then used again. Depth maps are facemesh's
(FACEPAD_MODELS or a download).
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
from facepad.metrics import compare_files, read_scores
from facepad.metrics.intervals import percentile_interval
from facepad.metrics.table import score_table
from facepad.types import Split

CROPS = (2.7, 1.6)
SEEDS = (0, 1, 2)
FAMILIES = 'augment.families=["laser", "photo_paper", "lcd"]'
PLAIN_INPUT = ("augment.operations=[]", "augment.simulate=0", "augment.views=1")
#: Each step keeps what the ones before it added.
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
#: Beside our recipe: TLA-MobileNetV2 on the same crops and epochs, learning from where our recipe does.
PEER = "TLA-MobileNetV2, from features.12 on"
STAGE = (
    'stages=[{name="fuse", trainable_from="features.4", epochs=5, optimizer="adamw", lr=1e-3, schedule="one-cycle", '
    'weight_decay=0.01, batch_norm="frozen", label_smoothing=0.1}]'
)
OPERATIONS = 'augment.operations=["frame", "mirror", "light", "blur", "resolution", "noise", "cutout", "jpeg"]'
#: TLA-MobileNetV2 under the same budget, with its own augmentation, and with the whole network's.
TLA = {
    "TLA-MobileNetV2": ("preprocess.size=128",),
    "TLA-MobileNetV2 with all augmentation": (
        "preprocess.size=128",
        OPERATIONS,
        "augment.simulate=0.33",
        FAMILIES,
    ),
}


#: The paper's recipe, on whole frames packed to 320 x 240. It asks for 100 epochs; GPU time sufficed for PAPER_EPOCHS.
#: As its learning rate is constant, they are the first of the hundred.
PAPER_EPOCHS = 26
PAPER = Run(
    "attention-fusion-paper", "attention-fusion-paper", "official-frames", 0, (f"stages.0.epochs={PAPER_EPOCHS}",)
)


def runs() -> list[Run]:
    """By crop and seed; within them the whole network first, so that a broken-off `run` tells the most."""
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
    """Train and evaluate everything, then score presentations of kinds that training never used."""
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
            shutil.rmtree(out, ignore_errors=True)  # of an evaluation that was broken off
            facepad("evaluate", work / "runs" / entry.name, unseen, out, "--no-probes", "--no-thumbnails")


INTRODUCTION = """<!-- written by benchmarks/attention_fusion.py; do not edit by hand -->
# AttentionFusion on NUAA

Each step keeps what the ones before it added: **plain** is MobileNetV2 without its last block, a 1x1 projection and the
mean of the binary map; then attention on the deep tap; the shallow and middle tap, fused with 1/3 each; learned alpha;
the depth map (`facemesh` labels); augmentation; a third of the bona fide crops shown on made-up prints and screens. All
see the same crops at 128 px for 5 epochs, `features.0` to `features.3` as ImageNet left them, and so does
TLA-MobileNetV2, with the augmentation of its own recipe and with all of it. Protocol `official`: the test is a later
session; the threshold is chosen on dev by `eer`. Figures in percent, mean over seeds with their range. Nothing was
chosen on test.

NUAA is one attack instrument of 15 people from one webcam: these figures say little about any other camera or attack.
"""


def tables(work: Path, out: Path) -> None:
    """Write attention-fusion.md and .json from the finished runs; what is not finished is named."""
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
        *_against(work, PEER, OURS, f"{OURS} minus {PEER}"),
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
    """The full network against TLA-MobileNetV2 on the same images."""
    return [
        line
        for other in TLA
        for line in _against(work, f"{other}, crop {crop}", f"{WHOLE}, crop {crop}", f"the whole network minus {other}")
    ]


def _against(work: Path, one: str, other: str, words: str) -> list[str]:
    """EER of one row minus that of another, seed by seed and all seeds together."""
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
            f"- EER of {words}, seed {seed}: {100 * eer.difference:+.3f} points, paired bootstrap by subject p = {p}"
        )
    if len(found) == len(SEEDS):
        lines.append(f"- **EER of {words}, all seeds together**: {_together(list(found.values()))}")
    return lines


def _together(pairs: list[list[Path]], replicates: int = 2000) -> str:
    """The mean over seeds of the difference in EER, when the same subjects are drawn for all of them."""
    found, drawn = [], []
    for pair in pairs:
        values, draws = [], []
        for path in pair:
            test = [record for record in read_scores(path).records if record.split is Split.TEST]
            table = score_table([record for record in test if record.score is not None], "subject")
            ranking = table.ranking()
            values.append(ranking.read().eer())
            draws.append(table.bootstrap(ranking, lambda points: (points.eer(),), replicates, 0)[:, 0])
        found.append(values[1] - values[0])
        drawn.append(draws[1] - draws[0])
    mean, means = statistics.mean(found), np.mean(drawn, axis=0)
    low, high = percentile_interval(mean, means[~np.isnan(means)])
    return (
        f"{100 * mean:+.2f} points on average, 95 % interval {100 * low:+.2f} to {100 * high:+.2f} (subjects resampled)"
    )


def _recipe_lines(found: dict[Run, dict[str, dict[str, float]]]) -> list[str]:
    """The two recipes as they are shipped."""
    lines = [
        "\n## The recipes as they are\n",
        "`attention-fusion` (2.7 x the face, 128 px, 5 epochs, learning from `features.12` on); beside it "
        "TLA-MobileNetV2 on the same crops for the same epochs, learning from the same block on; and the paper's "
        f"recipe (whole frames at 224 px, SGD at 1e-4) after {PAPER_EPOCHS} of its 100 epochs. `subject-kfold` tests "
        "on subjects never seen; what learns was chosen on the official training sessions "
        "(attention-fusion-choice.md), whose people stand in the tests of some folds.\n",
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
    return [f"\nShort-cut probes of {OURS}, official, seed 0 (EER in percent): {eers}."]


def _paper_lines(work: Path) -> list[str]:
    log = work / "runs" / PAPER.name / "metrics.jsonl"
    if not log.exists():
        return []
    seconds = [row["seconds"] for line in log.read_text("utf-8").splitlines() if "seconds" in (row := json.loads(line))]
    machine = machine_of(log.parent)
    return [
        f"\nThe paper's recipe took {statistics.median(seconds):.0f} s an epoch (median; {machine}), beside others."
    ]


def _unseen_lines(work: Path) -> list[str]:
    """APCER and BPCER at the dev threshold on kinds of re-capture that no training used."""
    lines = [
        f"\n## Presentations of kinds that training never used ({' and '.join(HELD_OUT)})\n",
        "Every fourth bona fide test image, as it is and shown on a made-up print or screen of these kinds, at the "
        "threshold chosen on NUAA's dev.\n",
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
