"""The results of attention_fusion.py: the committed file is completed by WORK folders, and the page is made from it."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

import pytest

from facepad.metrics import write_scores
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split

fusion, store = importlib.import_module("attention_fusion"), importlib.import_module("_store")
MADE = {"train_seconds": 60.5, "evaluate_seconds": 9, "commit": "abc1234", "date": "2026-12-24", "machine": "an abacus"}
ONE, OTHER = fusion.PAIRS[-1]


def finish(work: Path, row: str, seed: int, eer: float, protocol: str = "official", **more: object) -> store.Row:
    """A finished run in WORK, whose scores have the given EER; and what the file keeps of it."""
    entry = fusion.Run(row, "", protocol, seed)
    report = work / "reports" / entry.name
    report.mkdir(parents=True, exist_ok=True)
    metrics = {name: {"value": eer, "low": 0.0, "high": 1.0, "n": 80} for name in store.METRICS}
    (report / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    (report / "made.json").write_text(json.dumps(MADE | more), encoding="utf-8")
    records = [
        ScoreRecord(
            f"{split.value}-{label.value}-{number}.png",
            f"s{number % 5}",
            None,
            None,
            label,
            AttackType.PRINT if label is Label.ATTACK else None,
            split,
            ScoreStatus.SCORED,
            float((number < round(20 * eer)) != (label is Label.BONA_FIDE)),
        )
        for split in (Split.DEV, Split.TEST)
        for label in Label
        for number in range(20)
    ]
    write_scores(report / "scores.csv", records)
    return {"row": row, "protocol": protocol, "part": seed, **metrics, "made": MADE | more}


def stored(out: Path) -> store.Store:
    return store.Store.read(out / fusion.FILE)


@pytest.fixture
def out(tmp_path) -> Path:
    """A folder of results with the runs and the comparisons of three seeds, whose WORK is gone."""
    for seed in fusion.SEEDS:
        finish(tmp_path / "gone", ONE, seed, 0.1 * (seed + 1))
        finish(tmp_path / "gone", OTHER, seed, 0.1)
    fusion.tables(tmp_path / "gone", tmp_path / "out")
    shutil.rmtree(tmp_path / "gone")
    return tmp_path / "out"


def test_committed_page_is_made_from_the_committed_file():
    page = (fusion.RESULTS / "attention-fusion.md").read_text(encoding="utf-8")
    made = fusion.page(store.Store.read(fusion.RESULTS / fusion.FILE))
    assert made.partition("\n- written: ")[0] == page.partition("\n- written: ")[0]


def test_tables_without_runs_keep_file_and_page(out, tmp_path):
    before = [path.read_bytes() for path in sorted(out.iterdir())]
    fusion.tables(tmp_path / "empty", out)
    assert [path.read_bytes() for path in sorted(out.iterdir())] == before


def test_tables_compare_the_runs_of_a_work_folder(out):
    pair = stored(out).comparisons[ONE, OTHER]
    assert [round(seed["difference"], 6) for seed in pair["seeds"].values()] == [0, -0.1, -0.2]
    assert pair["together"]["mean"] == pytest.approx(-0.1)
    assert pair["together"]["low"] <= -0.1 <= pair["together"]["high"]
    page = (out / "attention-fusion.md").read_text(encoding="utf-8")
    assert f"- EER difference ({OTHER} - {ONE}), seed 2: -20.000 points" in page
    assert "all seeds**: -10.00 points (mean)" in page and "Not compared" not in page


def test_new_run_joins_the_stored_runs_in_the_order_of_the_plan(out, tmp_path):
    before, first = stored(out), fusion.runs()[0]
    row = finish(tmp_path / "new", first.row, first.part, 0.25)
    fusion.tables(tmp_path / "new", out)
    after = stored(out)
    assert [*after.runs.values()] == [row, *before.runs.values()]
    assert after.comparisons == before.comparisons
    assert f"| {first.row.partition(',')[0]} | 1 of 3 | 25.000 |" in (out / "attention-fusion.md").read_text("utf-8")


def test_replaced_run_takes_its_comparisons_with_it(out, tmp_path):
    row = finish(tmp_path / "new", ONE, 1, 0.5, commit="def5678")
    fusion.tables(tmp_path / "new", out)
    after = stored(out)
    assert after.runs[ONE, "official", 1] == row
    pair = after.comparisons[ONE, OTHER]
    assert ([*pair["seeds"]], pair["together"]) == (["0", "2"], None)
    page = (out / "attention-fusion.md").read_text(encoding="utf-8")
    assert f"- Not compared ({OTHER} - {ONE}): seed 1." in page
    assert "commits of the runs: abc1234, def5678\n" in page


def test_runs_without_an_origin_have_the_commits_of_the_list():
    old = {"row": ONE, "protocol": "official", "part": 0}
    kept = store.Store({(ONE, "official", 0): old}, {}, {"commit": ["1", "2"], "date": ["d"], "machine": ["m"]})
    assert kept.facts() == {"commits of the runs": "1, 2", "dates of the runs": "d", "trained on": "m"}
    old["made"] = MADE
    assert kept.facts()["trained on"] == "an abacus"


def test_tables_keep_probes_epochs_and_held_out_kinds(tmp_path):
    work, entry = tmp_path / "work", fusion.Run(OTHER, "", "official", 0)
    finish(work, OTHER, 0, 0.1)
    report, rates = work / "reports" / entry.name, {"apcer": {"value": 0.5}}
    metrics = json.loads((report / "metrics.json").read_text("utf-8"))
    probes = {"face blanked": {"eer": {"value": 0.02}}}
    (report / "metrics.json").write_text(json.dumps(metrics | {"probes": probes}), "utf-8")
    unseen = report.with_name(f"{entry.name}-unseen-kinds")
    unseen.mkdir()
    kinds = {"print": rates, "replay_photo": {"apcer": {"value": 0.75}}}
    (unseen / "metrics.json").write_text(json.dumps(metrics | {"instruments": kinds}), "utf-8")
    (work / "runs" / entry.name).mkdir(parents=True)
    lines = [{"epoch": 0}, *({"seconds": seconds} for seconds in (9, 2, 3))]
    (work / "runs" / entry.name / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    fusion.tables(work, tmp_path / "out")
    run = stored(tmp_path / "out").runs[OTHER, "official", 0]
    assert (run["probes"], run["epoch_seconds"]) == ({"face blanked": 0.02}, 3)
    assert run["held_out"] == {"apcer": 0.1, "print": 0.5, "screen": 0.75, "bpcer": 0.1, "eer": 0.1}
    page = (tmp_path / "out" / "attention-fusion.md").read_text("utf-8")
    assert "in percent: face blanked 2.00." in page
    assert f"| {OTHER} | 0 | 10.00 | 50.00 | 75.00 | 10.00 | 10.00 |" in page


def test_folds_and_seeds_are_one_row_and_each_seed_has_its_mean(tmp_path):
    for seed, row in enumerate(fusion.BY_SEED[:2]):
        for fold in range(fusion.FOLDS):
            finish(tmp_path / "work", row, fold, (0.05, 0.1)[seed] if fold else 0.2, "subject-kfold")
    finish(tmp_path / "work", fusion.BY_SEED[2], 0, 0.4, "subject-kfold")
    fusion.tables(tmp_path / "work", tmp_path / "out")
    lines = (tmp_path / "out" / "attention-fusion.md").read_text("utf-8").splitlines()
    assert f"| {fusion.OURS} | subject-kfold | 11 of 15 |{4 * ' 12.727 (5.00 to 40.00) |'}" in lines
    seeds = lines[lines.index("| seed | folds | EER | APCER | BPCER | ACER |") :][2:6]
    assert seeds == [
        f"| 0 | 5 of 5 |{4 * ' 8.000 |'}",
        f"| 1 | 5 of 5 |{4 * ' 12.000 |'}",
        f"| 2 | 1 of 5 |{4 * ' 40.000 |'}",
        f"| range | |{4 * ' 8.000 to 12.000 |'}",
    ]


def test_page_gives_both_results_of_the_run_that_was_trained_twice(tmp_path):
    name, crop, seed = fusion.TWICE
    finish(tmp_path / "work", f"{name}, crop {crop}", seed, 0.1)
    finish(tmp_path / "work", f"{name}, crop {crop}, again", seed, 0.35)
    fusion.tables(tmp_path / "work", tmp_path / "out")
    page = (tmp_path / "out" / "attention-fusion.md").read_text("utf-8")
    assert "EER 10.000 in the table, and 35.000 when trained again (an abacus; commit abc1234)." in page
    assert f"| {name} | 1 of 3 | 10.000 |" in page


def test_run_trains_only_what_the_file_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(fusion, "RESULTS", tmp_path)
    trained = []
    monkeypatch.setattr(fusion, "execute", lambda root, work, entries, depth=False: trained.extend(entries))
    monkeypatch.setattr(fusion, "facepad", lambda *words: None)
    every, missing = [*fusion.runs(), fusion.PAPER], next(e for e in fusion.runs() if e.recipe == "tla-mobilenetv2")
    kept = [entry for entry in every if entry != missing]
    rows = {store.key_of(entry): {"row": entry.row, "protocol": entry.protocol, "part": entry.part} for entry in kept}
    store.Store(rows).write(tmp_path / fusion.FILE)
    fusion.run(tmp_path / "photos", tmp_path / "work")
    assert trained == [missing]
