"""AttentionFusion on NUAA: an ablation, a comparison with TLA-MobileNetV2, and a test on held-out kinds of attacks.

    python benchmarks/attention_fusion.py run NUAA_FOLDER WORK      make all missing files, models and reports
    python benchmarks/attention_fusion.py tables WORK docs/results  add WORK's runs to attention-fusion.json and .md

docs/results/attention-fusion.json keeps all runs, and the page is made from it. `run` trains only what it lacks: to
train a run anew, take it out of the file. A paired comparison needs the scores of both networks in WORK.

In the ablation, all networks are trained on the same crops (128 px) for 5 epochs, and the trunk up to features.3 is
frozen at the ImageNet weights. WORK may be the work folder of benchmarks/nuaa.py. Its manifests and face boxes are then
used again. The labeller `facemesh` makes the depth maps. Its model file is in FACEPAD_MODELS, or is downloaded.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from _common import facepad
from _runs import HELD_OUT, Run, command_line, execute, ready_manifest, unseen_presentations
from _store import Row, Store, key_of

RESULTS = Path(__file__).parents[1] / "docs" / "results"
FILE = "attention-fusion.json"
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
#: Rows of the recipe's seeds under `subject-kfold`.
BY_SEED = (OURS, *(f"{OURS}, seed {seed}" for seed in SEEDS[1:]))
FOLDS = 5
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

#: Rows whose EER is compared on the same images: the EER of the second minus the EER of the first.
PAIRS = [*((f"{other}, crop {crop}", f"{WHOLE}, crop {crop}") for crop in CROPS for other in TLA), (PEER, OURS)]

#: The paper's recipe, on whole frames packed to 320 x 240. The recipe has 100 epochs, but there was GPU time for only
#: PAPER_EPOCHS. The learning rate is constant, so this run equals the first PAPER_EPOCHS epochs of a complete run.
PAPER_EPOCHS = 26
PAPER = Run(
    "attention-fusion-paper", "attention-fusion-paper", "official-frames", 0, (f"stages.0.epochs={PAPER_EPOCHS}",)
)

#: This run was trained twice, at two commits: the seed alone does not settle the result.
TWICE = ("TLA-MobileNetV2 with all augmentation", 1.6, 2)


def _ablation(name: str, crop: float, seed: int, addition: str = "") -> Run:
    """A run of the ablation, or of TLA-MobileNetV2 with the same crops."""
    recipe, changes = (OURS, STEPS[name]) if name in STEPS else ("tla-mobilenetv2", TLA[name])
    common = (f"preprocess.crop={crop}", f"train.seed={seed}", STAGE)
    return Run(f"{name}, crop {crop}{addition}", recipe, "official", seed, (*common, *changes))


def runs() -> list[Run]:
    """All runs, the most important runs first, so that an interrupted `run` has the most useful results."""
    steps = list(STEPS)
    order = [steps[0], steps[-1], *TLA, *reversed(steps[1:-1])]
    rows = [_ablation(name, crop, seed) for crop in CROPS for seed in SEEDS for name in order]
    ours = [Run(OURS, OURS, "official", seed, (f"train.seed={seed}",), probes=seed == 0) for seed in SEEDS]
    late = STAGE.replace("features.4", "features.12.conv.1")
    ours += [
        Run(PEER, "tla-mobilenetv2", "official", seed, (f"train.seed={seed}", late, "preprocess.size=128"))
        for seed in SEEDS
    ]
    ours += [
        Run(row, OURS, "subject-kfold", fold, (f"train.seed={seed}",))
        for seed, row in enumerate(BY_SEED)
        for fold in range(FOLDS)
    ]
    return [*rows[: len(order)], *ours, *rows[len(order) :], _ablation(*TWICE, ", again")]


def run(root: Path, work: Path) -> None:
    """Train and evaluate the networks that are not stored, some of them also on presentations of held-out kinds."""
    stored = Store.read(RESULTS / FILE).runs
    missing = [entry for entry in runs() if key_of(entry) not in stored]
    execute(root, work, missing, depth=True)
    if key_of(PAPER) not in stored:
        frames = work / PAPER.manifest
        if not frames.exists():
            source = ready_manifest(root, work, Run("", "", "official", 0))
            facepad("data", "pack", source, frames.parent, "--crop", "frame", "--size", 224)
        execute(root, work, [PAPER])
    for entry in missing:
        out = work / "reports" / f"{entry.name}-unseen-kinds"
        wanted = (entry.protocol == "official" and "ugmentation" in entry.row) or "simulated" in entry.row
        if wanted and not (out / "metrics.json").exists():
            unseen = unseen_presentations(work / "official" / "manifest.csv", work / "unseen-kinds")
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
    """Bring attention-fusion.json up to date with the finished runs of WORK, and write the page from it."""
    store = Store.read(out / FILE)
    store.update(work, [*runs(), PAPER], PAIRS, SEEDS)
    store.write(out / FILE)
    (out / "attention-fusion.md").write_text(page(store), encoding="utf-8")


def page(store: Store) -> str:
    """The page. Each row has the number of finished and of planned runs."""
    lines = [INTRODUCTION]
    for crop in CROPS:
        lines += [f"\n## Crop of {crop} x the face\n", "| network | seeds | EER | APCER | BPCER | HTER | AUC |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for row in (f"{name}, crop {crop}" for name in (*STEPS, *TLA)):
            group = _group(store, row, "official")
            cells = [_mean(group, name) for name in ("eer", "apcer", "bpcer", "hter", "auc")]
            lines.append(f"| {row.partition(',')[0]} | {len(group)} of {len(SEEDS)} | {' | '.join(cells)} |")
        lines += [
            "",
            *(line for other in TLA for line in _against(store, f"{other}, crop {crop}", f"{WHOLE}, crop {crop}")),
        ]
    lines += _twice_lines(store)
    lines += [
        *_recipe_lines(store),
        *_seed_lines(store),
        *_probe_lines(store),
        *_paper_lines(store),
        "",
        *_against(store, PEER, OURS),
    ]
    lines += _unseen_lines(store)
    facts = {
        "command": "python benchmarks/attention_fusion.py run NUAA_FOLDER WORK; ... tables WORK docs/results",
        **store.facts(),
        "written": time.strftime("%Y-%m-%d"),
    }
    return "\n".join([*lines, "", *(f"- {name}: {value}" for name, value in facts.items()), ""])


def _group(store: Store, row: str, protocol: str) -> list[Row]:
    return [run for run in store.runs.values() if (run["row"], run["protocol"]) == (row, protocol)]


def _mean(group: list[Row], name: str) -> str:
    values = [100 * run[name]["value"] for run in group]
    if not values:
        return "-"
    spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def _against(store: Store, one: str, other: str) -> list[str]:
    """Lines with the EER of row ``other`` minus the EER of row ``one``: for each seed, and the mean over the seeds."""
    compared = store.comparisons.get((one, other), {"seeds": {}, "together": None})
    words = f"{other} - {one}" if other == OURS else f"complete network - {one.partition(',')[0]}"
    lines = []
    for seed, eer in compared["seeds"].items():
        p = "not defined" if eer["p"] is None else f"{eer['p']:.3f}"
        lines.append(
            f"- EER difference ({words}), seed {seed}: {100 * eer['difference']:+.3f} points, "
            f"paired bootstrap by subject p = {p}"
        )
    if mean := compared["together"]:
        low, high = 100 * mean["low"], 100 * mean["high"]
        lines.append(
            f"- **EER difference ({words}), all seeds**: {100 * mean['mean']:+.2f} points (mean), 95 % interval "
            f"{low:+.2f} to {high:+.2f} (subjects resampled)"
        )
    both = [seed for seed in SEEDS if all((row, "official", seed) in store.runs for row in (one, other))]
    if left := [str(seed) for seed in both if str(seed) not in compared["seeds"]]:
        lines.append(
            f"- Not compared ({words}): seed {', '.join(left)}. Scores of one of the two networks were not kept."
        )
    return lines


def _twice_lines(store: Store) -> list[str]:
    first, again = (store.runs.get(key_of(_ablation(*TWICE, addition))) for addition in ("", ", again"))
    if not first or not again:
        return []
    made = again["made"]
    return [
        f"- Trained twice ({TWICE[0]}, seed {TWICE[2]}): EER {_mean([first], 'eer')} in the table, and "
        f"{_mean([again], 'eer')} when trained again ({made['machine']}; commit {made['commit']})."
    ]


def _recipe_lines(store: Store) -> list[str]:
    """The table that compares our recipe, TLA-MobileNetV2 and the paper's recipe."""
    lines = [
        "\n## The recipes\n",
        "The recipe `attention-fusion` uses crops of 2.7 x the face at 128 px and 5 epochs, and trains the layers from "
        "`features.12` on. TLA-MobileNetV2 is trained with the same crops, number of epochs and trainable layers. "
        "`attention-fusion-paper` is the paper's recipe (whole frames at 224 px, SGD with a learning rate of 1e-4) "
        f"after {PAPER_EPOCHS} of its 100 epochs. The test subjects of `subject-kfold` are not in its training data. "
        "However, the trainable layers were chosen on the official training sessions (attention-fusion-choice.md), and "
        "some subjects of these sessions are test subjects of a fold. The protocol is run with three seeds.\n",
        "| network | protocol | runs | EER | APCER | BPCER | ACER |",
        "|---|---|---|---|---|---|---|",
    ]
    for rows, protocol, planned in (
        ((OURS,), "official", len(SEEDS)),
        ((PEER,), "official", len(SEEDS)),
        (BY_SEED, "subject-kfold", len(SEEDS) * FOLDS),
        ((PAPER.row,), PAPER.protocol, 1),
    ):
        group = [run for row in rows for run in _group(store, row, protocol)]
        cells = [_mean(group, name) for name in ("eer", "apcer", "bpcer", "acer")]
        lines.append(f"| {rows[0]} | {protocol} | {len(group)} of {planned} | {' | '.join(cells)} |")
    return lines


def _seed_lines(store: Store) -> list[str]:
    """The table of the recipe's seeds under `subject-kfold`: the mean of the folds for each seed."""
    names = ("eer", "apcer", "bpcer", "acer")
    lines = [
        f"\nThe mean of the folds of `subject-kfold`, for each seed of {OURS}:\n",
        "| seed | folds | EER | APCER | BPCER | ACER |",
        "|---|---|---|---|---|---|",
    ]
    for seed, row in enumerate(BY_SEED):
        group = _group(store, row, "subject-kfold")
        cells = [f"{_percent(group, name):.3f}" if group else "-" for name in names]
        lines.append(f"| {seed} | {len(group)} of {FOLDS} | {' | '.join(cells)} |")
    whole = [group for row in BY_SEED if len(group := _group(store, row, "subject-kfold")) == FOLDS]
    if len(whole) > 1:
        means = [[_percent(group, name) for group in whole] for name in names]
        cells = [f"{min(values):.3f} to {max(values):.3f}" for values in means]
        lines.append(f"| range | | {' | '.join(cells)} |")
    return lines


def _percent(group: list[Row], name: str) -> float:
    return statistics.mean(100 * run[name]["value"] for run in group)


def _probe_lines(store: Store) -> list[str]:
    probes = store.runs.get((OURS, "official", 0), {}).get("probes")
    if not probes:
        return []
    eers = ", ".join(f"{name} {100 * eer:.2f}" for name, eer in probes.items())
    return [f"\nEER of the short-cut probes of {OURS}, protocol `official`, seed 0, in percent: {eers}."]


def _paper_lines(store: Store) -> list[str]:
    run = store.runs.get(key_of(PAPER), {})
    if "epoch_seconds" not in run:
        return []
    return [
        f"\nAn epoch of the paper's recipe took {run['epoch_seconds']:.0f} s (median; {run['made']['machine']}). "
        "Other jobs ran on the machine at the same time."
    ]


def _unseen_lines(store: Store) -> list[str]:
    """The table of APCER and BPCER, at the dev threshold, on the held-out kinds of re-capture."""
    lines = [
        f"\n## Presentations of held-out kinds ({' and '.join(HELD_OUT)})\n",
        "The test has about every fourth bona fide test image twice: without re-capture, and as a simulated "
        "print or screen of a kind that no training used. The threshold was chosen on NUAA's dev.\n",
        "| network | seed | APCER (worst) | APCER print | APCER screen | BPCER | EER |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in store.runs.values():
        if rates := run.get("held_out"):
            values = " | ".join(f"{100 * rates[name]:.2f}" for name in ("apcer", "print", "screen", "bpcer", "eer"))
            lines.append(f"| {run['row']} | {run['part']} | {values} |")
    return lines


def main(words: Sequence[str] | None = None) -> None:
    command_line(__doc__, run, tables, words)


if __name__ == "__main__":
    main()
