"""Choosing the recipe attention-fusion: compares candidates on NUAA's official training sessions only.

    python benchmarks/attention_fusion_choice.py run NUAA_FOLDER WORK      train and evaluate all missing runs
    python benchmarks/attention_fusion_choice.py tables WORK docs/results  write attention-fusion-choice.md

WORK may be the work folder of benchmarks/attention_fusion.py. Its manifest and depth maps are then used again. There
are three divisions, with three people held out from training in each division: train is the first session of the
other people, dev is the first session of the three people, and test is the second session of all people. NUAA's test
images are not used.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from _runs import Run, command_line, execute, ready_manifest
from facepad.datasets.manifest import read_manifest, write_manifest
from facepad.types import Split

GROUPS = (("0001", "0002", "0004"), ("0003", "0005", "0006"), ("0007", "0008", "0009"))
CROP = 2.7
FROM_12 = "features.12.conv.1"


def stage(start: str | None = "features.4", epochs: int = 5, **changes: object) -> str:
    """The stage of the recipe with changed values, as an argument of `--set`."""
    values = {
        "name": "fuse",
        "trainable_from": start,
        "epochs": epochs,
        "optimizer": "adamw",
        "lr": 1e-3,
        "schedule": "one-cycle",
        "weight_decay": 0.01,
        "batch_norm": "frozen",
        "label_smoothing": 0.1,
    } | changes
    return f"stages=[{{{', '.join(f'{name}={json.dumps(value)}' for name, value in values.items())}}}]"


HEADS_FIRST = (
    f"{stage('attention', 4, name='heads')[:-1]}, {stage(FROM_12, 4, lr=5e-4)[len('stages=[') :]}"  # two stages
)
#: Candidate -> changes of the first candidate, which trains the layers from features.4 on.
CANDIDATES: dict[str, tuple[str, ...]] = {
    "from features.4 on": (),
    "from features.9 on": (stage("features.9"),),
    "from features.12 on": (stage(FROM_12),),
    "from features.12 on, 160 px": (stage(FROM_12), "preprocess.size=160"),
    "from features.15 on": (stage("features.15"),),
    "heads first, then from features.12 on": (HEADS_FIRST,),
    "10 epochs, 6 views": (stage(epochs=10), "augment.views=6"),
    "half of the bona fide simulated": ("augment.simulate=0.5",),
    "no resolution loss, no cut-out": ('augment.operations=["frame", "mirror", "light", "blur", "noise", "jpeg"]',),
    "rate 3e-4": (stage(lr=3e-4),),
    "weight decay 0.1": (stage(weight_decay=0.1),),
    "batch norm updates": (stage(batch_norm="update"),),
    "no smoothing": (stage(label_smoothing=0.0),),
    "no depth map": ("model.depth=false",),
    "depth weight 3": ("depth.weight=3",),
    "light tap": ("model.deep_tap=13",),
    "160 px": ("preprocess.size=160",),
    "224 px, 10 epochs, 6 views": ("preprocess.size=224", stage(epochs=10), "augment.views=6"),
}


def runs() -> list[Run]:
    """All candidates in all divisions. The number of the division is also the seed."""
    common = (f"preprocess.crop={CROP}", stage())
    return [
        Run(f"choice {name}", "attention-fusion", "choice", part, (f"train.seed={part}", *common, *changes))
        for name, changes in CANDIDATES.items()
        for part in range(len(GROUPS))
    ]


def make_manifests(work: Path) -> None:
    """Write one manifest per division. Symlinks give them the depth maps and features of the official manifest."""
    folder = work / "choice"
    folder.mkdir(exist_ok=True)
    for name in ("depth", "features"):
        if not (folder / name).exists():
            (folder / name).symlink_to(Path("..", "official", name), target_is_directory=True)
    samples = [s for s in read_manifest(work / "official" / "manifest.csv") if s.split is not Split.TEST]
    for part, group in enumerate(GROUPS):
        divided = [replace(sample, split=_split(sample.path, sample.subject, group)) for sample in samples]
        write_manifest(folder / f"manifest-{part}.csv", divided)


def _split(path: str, subject: str, group: tuple[str, ...]) -> Split:
    if Path(path).name.split("_")[3] == "02":  # ID_glasses_pos_session_picNo.jpg
        return Split.TEST
    return Split.DEV if subject in group else Split.TRAIN


def run(root: Path, work: Path) -> None:
    ready_manifest(root, work, Run("", "", "official", 0), depth=True)
    make_manifests(work)
    execute(root, work, runs())


INTRODUCTION = """<!-- written by benchmarks/attention_fusion_choice.py; do not edit by hand -->
# How the recipe attention-fusion was chosen

The candidates are compared on the official *training* sessions of NUAA only, with crops of 2.7 x the face. There are
three divisions, with three people held out from training in each division. Train is the first session of the other
people. The threshold is chosen on the first session of the three people (dev). The test is the second session of all
people: a new session with known and unknown people, as in the official test. The figures are in percent: the mean over
the three divisions, with the three values. Settings that the name of a candidate does not mention are those of the
recipe, except the trunk, which is trained from `features.4` on.

The first candidate was run on two machines, which shows the random variation: on the other machine an EER changes by up
to about a point, and an HTER changes by more. Each candidate has one run per division. Therefore only the choice of the
trainable layers, which has the largest effect, was changed: if the layers from `features.12` on are trained (as in
TLA's recipes), the HTER is a third of the former value, and the EER is similar. `features.9` is nearly as good.
`features.15`, training the heads first, and 160 px are worse. Runs of a second machine are in folders whose names end
in `-cpu`.

| candidate | trained on | EER | HTER |
|---|---|---|---|"""


def tables(work: Path, out: Path) -> None:
    lines, facts = [INTRODUCTION], set()
    for name in CANDIDATES:
        found: dict[str, list[tuple[float, float]]] = {}
        for report in sorted((work / "reports").glob(f"{Run(f'choice {name}', '', 'choice', 0).name[:-1]}[0-9]*")):
            if not (report / "made.json").exists():
                continue
            made = json.loads((report / "made.json").read_text(encoding="utf-8"))
            metrics = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
            rates = (100 * metrics["eer"]["value"], 100 * metrics["hter"]["value"])
            found.setdefault(made["machine"].partition(",")[0], []).append(rates)
            facts.add((made["commit"], made["date"], made["machine"]))
        lines += [f"| {name} | {machine} | {_cells(rates)} |" for machine, rates in sorted(found.items())]
    lines += [
        "",
        "- command: python benchmarks/attention_fusion_choice.py run NUAA_FOLDER WORK; ... tables WORK docs/results",
    ]
    lines += [f"- commit {commit}, {date}, {machine}" for commit, date, machine in sorted(facts)]
    out.mkdir(parents=True, exist_ok=True)
    (out / "attention-fusion-choice.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


def _cells(rates: list[tuple[float, float]]) -> str:
    columns = zip(*rates, strict=True)
    some = "" if len(rates) == len(GROUPS) else f", {len(rates)} of {len(GROUPS)}"
    return " | ".join(
        f"{statistics.mean(column):.2f} ({', '.join(f'{value:.2f}' for value in column)}{some})" for column in columns
    )


def main(words: Sequence[str] | None = None) -> None:
    command_line(__doc__, run, tables, words)


if __name__ == "__main__":
    main()
