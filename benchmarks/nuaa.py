"""Make the runs and the tables of docs/results/nuaa.md.

    python benchmarks/nuaa.py run NUAA_FOLDER WORK        prepare, train and evaluate all missing runs
    python benchmarks/nuaa.py tables WORK docs/results    write nuaa.md and nuaa.json from the finished runs

`run` uses only the facepad command line, and `tables` reads the files that the runs wrote. The most important runs come
first. An interrupted `run` continues with the next call.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from _common import machine
from _runs import Run, command_line, execute
from facepad.metrics import choose_threshold, read_scores, summarize
from facepad.report.literature import published_figures
from facepad.types import Label, Split

#: Short runs at 64 px from random weights, because ImageNet weights of ResNet-34 were not available on the machine.
RESNET = ["model.weights=none", "preprocess.size=64", "stages.0.epochs=1", "stages.1.epochs=3"]


def runs() -> list[Run]:
    ours, paper, resnet = "tla-mobilenetv2", "tla-mobilenetv2-paper", "tla-resnet34-paper"
    ablations = {
        "whole-frame": ["preprocess.crop=frame"],
        "no-augmentation": ["augment.operations=[]", "augment.views=1"],
        "no-smoothing": ["stages.0.label_smoothing=0", "stages.1.label_smoothing=0"],
        "no-class-weights": ["train.balance_classes=false"],
    }
    # One run of each kind comes first, so that the table after an interrupted `run` has few missing rows.
    rows = [Run("ours", ours, "official", 0, (), True), Run("ours", ours, "random80", 0, criterion="0.5")]
    rows += [Run("paper", paper, "official", 0), Run("ours", ours, "subject-kfold", 0)]
    rows += [Run("resnet34", resnet, "official", 0, tuple(RESNET))]
    rows += [Run("ours", ours, "official", seed, (f"train.seed={seed}",)) for seed in (1, 2)]
    rows += [Run("paper", paper, "random80", 0, criterion="0.5")]
    rows += [Run("ours", ours, "subject-kfold", fold) for fold in range(1, 5)]
    rows += [Run("ours", ours, "random80", seed, (f"train.seed={seed}",), criterion="0.5") for seed in range(1, 5)]
    rows += [Run(f"ours, {name}", ours, "official", 0, tuple(changes)) for name, changes in ablations.items()]
    rows += [Run("paper", paper, "subject-kfold", fold) for fold in range(5)]
    rows += [Run("resnet34", resnet, "random80", 0, tuple(RESNET), criterion="0.5")]
    rows += [Run("paper", paper, "official", seed, (f"train.seed={seed}",), seed == 1) for seed in (1, 2)]
    rows += [Run("paper", paper, "random80", seed, (f"train.seed={seed}",), criterion="0.5") for seed in range(1, 5)]
    return rows


def tables(work: Path, out: Path) -> None:
    """Write nuaa.md and nuaa.json from the finished runs. The page also lists the missing runs."""
    results = [_result(work, entry) for entry in runs() if (work / "reports" / entry.name / "made.json").exists()]
    results += [_unseen(work, result) for result in results if result["protocol"] == "official"]
    out.mkdir(parents=True, exist_ok=True)
    facts = {
        "command": "python benchmarks/nuaa.py run NUAA_FOLDER WORK; python benchmarks/nuaa.py tables WORK docs/results",
        "commits of the runs": ", ".join(sorted({result["made"]["commit"] for result in results})),
        "dates of the runs": ", ".join(sorted({result["made"]["date"] for result in results})),
        "machine": machine(),
    }
    (out / "nuaa.json").write_text(json.dumps({"facts": facts, "runs": results}, indent=1) + "\n", encoding="utf-8")
    (out / "nuaa.md").write_text(_markdown(results, facts), encoding="utf-8")


INTRODUCTION = """<!-- written by benchmarks/nuaa.py; do not edit by hand -->
# NUAA Photo Imposter Database

The rows:

- **paper**: the recipe `tla-mobilenetv2-paper` (whole frames at 160 px, the hyper-parameters of the paper).
- **ours**: the recipe `tla-mobilenetv2` (2.7 x the face at 160 px). The recipe lists its differences from the paper.
- **ours, ...**: the recipe `tla-mobilenetv2` without one of these differences.
- **resnet34**: the recipe `tla-resnet34-paper` from *random* weights, at 64 px and for 1 + 3 epochs. It only shows that
  the recipe runs: the ImageNet weights were not available on the machine.

The protocols:

- `random80`: the paper's random 80/20 split. Neighbouring frames of one clip are in both parts: the split **leaks**.
  The threshold is 0.5.
- `official`: the test is a later session.
- `official-unseen`: the test of `official`, but only the subjects that are not in train or dev.
- `subject-kfold`: the test subjects are not in train or dev.

Except for `random80`, the threshold is chosen on dev by `eer`. If dev is separable, the threshold is the middle of the
gap. Nothing was chosen on test.

All figures are in percent: the mean over seeds or folds, with the range. For precision, recall and F1 the attack is the
positive class. NUAA has one attack instrument (prints), 15 people and one webcam, and the surroundings of the face
often reveal the class. If the EER with the face blanked is low (short-cut probes, below), the network does not need the
face. These figures say little about other cameras, rooms or attacks.

## Results
"""
METRICS = ("accuracy", "apcer", "bpcer", "hter", "acer", "eer", "auc")
READINGS = ("precision", "recall", "f1")


def _result(work: Path, entry: Run) -> dict[str, object]:
    report = work / "reports" / entry.name
    metrics = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    matrix = metrics["confusion_matrix"]
    return {
        "row": entry.row,
        "protocol": entry.protocol,
        "part": entry.part,
        "overrides": list(entry.overrides),
        **{name: metrics[name] for name in METRICS},
        **{name: metrics["precision_recall_f1"]["attack_positive"][name] for name in READINGS},
        "errors": matrix["bona_fide"]["rejected"] + matrix["attack"]["accepted"],
        "scored": sum(count for counts in matrix.values() for count in counts.values()),
        "threshold": {"value": metrics["threshold"]["value"], "criterion": metrics["threshold"]["criterion"]},
        "probes": metrics.get("probes"),
        "non_responses": metrics["non_responses"],
        "made": json.loads((report / "made.json").read_text(encoding="utf-8")),
    }


def _unseen(work: Path, official: dict[str, object]) -> dict[str, object]:
    """The result of an official run on the test subjects that are not in train or dev, with the same criterion."""
    name = Run(str(official["row"]), "", "official", int(str(official["part"]))).name
    records = read_scores(work / "reports" / name / "scores.csv").records
    dev = [record for record in records if record.split is Split.DEV]
    seen = {f"{number:04}" for number in range(1, 10)}
    test = [record for record in records if record.split is Split.TEST and record.subject not in seen]
    threshold = choose_threshold(dev, "eer", source="dev")
    metrics = summarize(test, threshold).to_dict()
    matrix = metrics["confusion_matrix"]
    return {
        **{key: official[key] for key in ("row", "part", "overrides", "made")},
        "protocol": "official-unseen",
        **{key: metrics[key] for key in METRICS},
        **{key: metrics["precision_recall_f1"]["attack_positive"][key] for key in READINGS},
        "errors": matrix["bona_fide"]["rejected"] + matrix["attack"]["accepted"],
        "scored": sum(record.score is not None for record in test),
        "bona_fide": sum(record.label is Label.BONA_FIDE for record in test),
    }


def _percent(rate: dict[str, float] | None) -> str:
    if rate is None:
        return "undefined"
    return f"{100 * rate['value']:.2f} [{100 * rate['low']:.2f}, {100 * rate['high']:.2f}]"


def _markdown(results: list[dict[str, object]], facts: dict[str, str]) -> str:
    columns = [*METRICS, *READINGS]
    lines = [INTRODUCTION, f"| row | protocol | runs | errors / scored | {' | '.join(columns)} |"]
    lines += ["|---|---|---|---|" + "---|" * len(columns)]
    planned = Counter((entry.row, entry.protocol) for entry in runs())
    planned |= Counter(
        {(row, "official-unseen"): n for (row, protocol), n in planned.items() if protocol == "official"}
    )
    groups: dict[tuple[str, str], list[dict[str, object]]] = {}
    for result in results:
        groups.setdefault((str(result["row"]), str(result["protocol"])), []).append(result)
    for (row, protocol), group in groups.items():
        errors = ", ".join(str(result["errors"]) for result in group)
        cells = [_mean(group, column) for column in columns]
        share = f"{len(group)} of {planned[row, protocol]}"
        lines.append(f"| {row} | {protocol} | {share} | {errors} / {group[0]['scored']} | {' | '.join(cells)} |")
    left = {key: count - len(groups.get(key, ())) for key, count in planned.items()}
    missing = [f"{row} {protocol} ({count})" for (row, protocol), count in left.items() if count]
    lines += ["", f"Missing runs: {', '.join(missing) or 'none'}.", "", *_published_lines()]
    lines += ["", "## Each run with its 95 % interval", ""]
    lines += [
        f"| run | {' | '.join(columns)} | training, s (partly with stored features) | evaluation, s |",
        "|---|" + "---|" * (len(columns) + 2),
    ]
    for result in results:
        cells = [_percent(result[column]) for column in columns]
        made = result["made"]
        name = f"{result['row']} {result['protocol']} {result['part']}"
        lines.append(f"| {name} | {' | '.join(cells)} | {made['train_seconds']} | {made['evaluate_seconds']} |")
    lines += ["", "## Short-cut probes: test EER in percent", "", "| run | unchanged | face blanked | only face |"]
    lines += ["|---|---|---|---|"]
    for result in results:
        if probes := result.get("probes"):
            cells = [_percent(result["eer"]), *(_percent(probe["eer"]) for probe in probes.values())]
            lines.append(f"| {result['row']} {result['protocol']} {result['part']} | {' | '.join(cells)} |")
    lines += ["", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    return "\n".join(lines)


def _published_lines() -> list[str]:
    lines = ["## The paper's figures", "", "| row | accuracy | HTER | remark |", "|---|---|---|---|"]
    for row in published_figures():
        if row.name in ("TLA-ResNet34", "TLA-MobileNetV2"):
            lines.append(f"| {row.name} | {_given(row.accuracy)} | {_given(row.hter)} | {row.remark} |")
    return lines


def _given(value: float | None) -> str:
    return "not given" if value is None else f"{100 * value:.4g} %"


def _mean(group: list[dict[str, object]], column: str) -> str:
    values = [result[column]["value"] for result in group if result[column] is not None]
    if not values:
        return "undefined"
    spread = f" ({100 * min(values):.2f} to {100 * max(values):.2f})" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.3f}{spread}"


def main(words: Sequence[str] | None = None) -> None:
    command_line(__doc__, lambda root, work: execute(root, work, runs()), tables, words)


if __name__ == "__main__":
    main()
