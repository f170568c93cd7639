"""facepad cross: every model and run on every test set, thresholds by origin, folds and seeds summed up, resuming."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from facepad.cli.cross import spread_lists
from facepad.datasets import manifest as manifest_module
from facepad.datasets.manifest import manifest_words
from facepad.errors import InputError
from facepad.files.locks import exclusive
from facepad.metrics import (
    Resampling,
    compare_groups,
    metrics_from_file,
    read_requirements,
    read_scores,
    to_videos,
)
from facepad.modelfile.bundle import write_bundle
from facepad.modelfile.catalog import find_model
from facepad.report.cross import CrossCell
from facepad.report.cross.content import THRESHOLDS
from facepad.types import AttackType, Label, Split
from facepad.workflow.calibrate import calibrate_bundle
from facepad.workflow.cross import cells as cells_module
from facepad.workflow.cross.job import cross
from facepad.workflow.cross.plan import CrossSettings, make_plan
from helpers.recipes import ONE_STAGE
from helpers.reports import Page

RESAMPLING = Resampling(replicates=100)


@pytest.fixture(scope="module")
def model(tiny_run, noisy_manifest, tmp_path_factory):
    """The tiny run as a model file with a threshold for single images."""
    done = calibrate_bundle(find_model(tiny_run).read(), noisy_manifest, criterion="min-hter").bundle
    return write_bundle(tmp_path_factory.mktemp("model") / "tiny.facepad", done)


@pytest.fixture(scope="module")
def measured(manifest_like, tmp_path_factory):
    """A test set of other images: no splits, and one video for each subject and class."""
    folder = tmp_path_factory.mktemp("measured") / "phone"
    folder.mkdir()

    def change(sample):
        number = int(Path(sample.path).stem)
        return replace(sample, split=None, video=str(sample.label)) if number < 48 else None

    return manifest_like(folder, change)


@pytest.fixture(scope="module")
def crossed(model, noisy_manifest, measured, tmp_path_factory):
    """The folder and the result of the model on that set, with the training set as its source."""
    out = tmp_path_factory.mktemp("crossed") / "out"
    return out, run(out, models=[model], train=[noisy_manifest], test=[measured])


@pytest.fixture
def recipe(tmp_path):
    from facepad.training.recipe import load_recipe

    (tmp_path / "small.toml").write_text(ONE_STAGE)
    return load_recipe(str(tmp_path / "small.toml"))


def run(out, **settings):
    return cross(out, CrossSettings(resampling=RESAMPLING, **settings))


def row_of(content, level, origin, system=None):
    [row] = [row for row in content.rows if (row.level, row.origin) == (level, origin) and system in (None, row.system)]
    return row


def test_a_model_file_has_its_own_threshold_the_source_s_and_the_test_s_eer(model, crossed):
    _, done = crossed
    own = find_model(model).read().description.threshold
    for level in ("frame", "video"):
        rows = {origin: row_of(done.content, level, origin) for origin in ("dev", "model", "test")}
        assert rows["model"].threshold == own.value
        assert rows["dev"].criterion == "min-hter"
        assert "split dev, frames" in rows["dev"].chosen_on
        assert rows["test"].chosen_on == f"the test set itself, {level}s"
        assert len({row.figures["eer"].mean for row in rows.values()}) == 1
    notes = [note.text for note in done.content.notes]
    assert any("the model's own threshold was chosen on single images" in note for note in notes)
    assert any("dev samples name no videos" in note for note in notes)


def test_test_images_that_also_choose_the_threshold_are_noted(crossed):
    _, done = crossed
    notes = [note.text for note in done.content.notes]
    assert "phone: 16 of 48 test images also chose the threshold: the figures are too optimistic" in notes


def test_attacks_that_the_dev_split_of_a_source_or_a_test_set_lacks_are_noted(measured, manifest_like, tmp_path):
    def change(sample):
        replay = sample.split is Split.TRAIN and sample.attack_type
        return replace(sample, attack_type=AttackType.REPLAY_VIDEO) if replay else sample

    def masked(sample):
        return replace(sample, attack_type=AttackType.MASK_3D) if sample.attack_type else sample

    for name in ("source", "masks"):
        (tmp_path / name).mkdir()
    source, masks = manifest_like(tmp_path / "source", change), manifest_like(tmp_path / "masks", masked)
    settings = CrossSettings(models=["distilled-research"], train=[source], test=[measured, masks])
    notes = make_plan(settings, tmp_path / "out").notes
    words = "but other samples do: the threshold was not chosen for it"
    absent = [note for note in notes if "no dev sample" in note]
    assert absent == [
        f"{manifest_words(source)}: no dev sample shows the attack replay_video, {words}",
        f"masks: no dev sample shows the attack mask_3d, {words}",
    ]


def test_a_dev_manifest_is_read_as_often_for_one_test_set_as_for_three(
    model, tiny_run, noisy_manifest, measured, manifest_like, tmp_path, monkeypatch
):
    reads = []
    read_bytes = manifest_module.read_bytes
    monkeypatch.setattr(
        manifest_module, "read_bytes", lambda path, limit: reads.append(path) or read_bytes(path, limit)
    )
    others = [manifest_like(tmp_path / name, lambda sample: replace(sample, split=None)) for name in ("a", "b")]
    counts = []
    for tests in ([measured], [measured, *others]):
        reads.clear()
        make_plan(CrossSettings(models=[tiny_run, model], train=[noisy_manifest], test=tests), tmp_path / "out")
        counts.append(reads.count(noisy_manifest))
    assert counts[0] == counts[1]


def test_the_scores_of_a_cell_give_the_same_figures_again(tiny_run, noisy_manifest, measured, tmp_path):
    done = run(tmp_path / "out", models=[tiny_run], test=[measured, noisy_manifest])
    cell = tmp_path / "out" / "cells" / "tiny" / "phone" / "scores.csv"
    [dev] = (tmp_path / "out" / "dev" / "tiny").glob("*/scores.csv")
    again = metrics_from_file(cell, "eer", dev=dev, resampling=RESAMPLING)
    [row] = [r for r in done.content.rows if (r.test, r.level, r.origin) == ("phone", "frame", "dev")]
    assert row.threshold == again.threshold.value
    assert {key: figure.mean for key, figure in row.figures.items()} == {k: v.value for k, v in again.rates.items()}


def test_the_files_hold_the_same_numbers(crossed):
    out, done = crossed
    row = row_of(done.content, "frame", "dev")
    lines = list(csv.DictReader((out / "cross.csv").read_text().splitlines()))
    [line] = [each for each in lines if (each["level"], each["threshold_from"]) == ("frame", "dev")]
    assert float(line["acer"]) == row.figures["acer"].mean
    document = json.loads((out / "cross.json").read_text())
    [found] = [each for each in document["rows"] if (each["level"], each["threshold_from"]) == ("frame", "dev")]
    assert found["figures"]["acer"]["mean"] == row.figures["acer"].mean
    shown = f"{100 * row.figures['acer'].mean:.2f}"
    for name in ("cross.md", "cross.tex", "cross.html"):
        assert shown in (out / name).read_text(), name
    page = (out / "cross.html").read_text()
    assert page.count("<svg") == 2 * (2 + 1)  # at each level: ROC, DET and one line of the legend
    assert "http" not in page.split("<body>")[1]


def test_seeds_have_mean_and_spread_and_finished_work_is_not_repeated(
    recipe, noisy_manifest, measured, tmp_path, monkeypatch
):
    settings = {"recipes": [recipe], "train": [noisy_manifest], "test": [measured]}
    one = run(tmp_path / "out", **settings)
    assert row_of(one.content, "frame", "dev").over == ""
    weights = tmp_path / "out" / "runs" / "small-seed0" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    killed = tmp_path / "out" / "runs" / "small-seed1" / "environment.json"
    killed.parent.mkdir()
    killed.touch()
    done = run(tmp_path / "out", **settings, seeds=2)
    row = row_of(done.content, "frame", "dev")
    assert (row.over, row.threshold) == ("2 seeds", None)
    values = [c.summaries["dev"].rates["acer"].value for c in done.content.cells if c.level == "frame"]
    assert row.figures["acer"].mean == pytest.approx(sum(values) / 2)
    assert row.figures["acer"].sd == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert weights.stat().st_mtime_ns == before
    monkeypatch.setattr(cells_module, "score_samples", lambda *_, **__: pytest.fail("scored again"))
    again = run(tmp_path / "out", **settings, seeds=2)
    assert again.content.rows == done.content.rows


def test_folds_of_one_protocol_are_trained_tested_and_pooled(recipe, tiny_manifest, manifest_like, tmp_path):
    (tmp_path / "set").mkdir()
    splits = (Split.TRAIN, Split.DEV, Split.TEST)
    for fold in range(3):

        def turn(sample, by=fold):
            gender = ("gender", "fm"[int(Path(sample.path).stem) // 3 % 2])
            return replace(sample, split=splits[(splits.index(sample.split) + by) % 3], attributes=(gender,))

        made = manifest_like(tmp_path / "set", turn)
        made.rename(made.with_name(f"manifest-fold{fold}.csv"))
    pattern = tmp_path / "set" / "manifest-fold*.csv"
    done = run(tmp_path / "out", recipes=[recipe], train=[pattern], test=[pattern], by=("gender",))
    assert len(done.content.cells) == 3
    row = row_of(done.content, "frame", "dev")
    assert row.over == "3 folds"
    assert row.bona_fide + row.attack == 72
    cells = [cell.summaries["dev"].confusion for cell in done.content.cells]
    assert row.figures["bpcer"].pooled == sum(c.bona_fide_rejected for c in cells) / 36
    for cell in done.content.cells:
        fold, summary = cell.test_fold, cell.summaries["dev"]
        records = read_scores(tmp_path / "out" / "cells" / f"small-seed0-{fold}" / f"set-{fold}" / "scores.csv").records
        cluster = summary.cluster
        groups = compare_groups(records, summary.threshold.value, ["gender"], cluster, Resampling(cluster, 100))
        assert summary.groups == groups and [group.values for group in groups.groups] == [("f",), ("m",)]
        title = f"small, seed 0, {fold} on set, frames; threshold from source's dev"
        for name in ("cross.html", "cross.md"):
            assert title in Page((tmp_path / "out" / name).read_text()).text, name
    (tmp_path / "set" / "manifest-fold1.csv").unlink()
    with pytest.raises(InputError, match=r"manifest-fold1\.csv is missing"):
        run(tmp_path / "other", recipes=[recipe], train=[pattern], test=[pattern])


def test_several_sources_are_merged_and_shared_subjects_are_named(
    recipe, tiny_manifest, manifest_like, measured, tmp_path
):
    halves = []
    for place in range(2):
        (tmp_path / f"half{place}").mkdir()

        def half(sample, odd=place):
            return sample if int(Path(sample.path).stem) // 6 % 2 == odd else None

        halves.append(manifest_like(tmp_path / f"half{place}", half))
    done = run(tmp_path / "out", recipes=[recipe], train=halves, test=[measured])
    merged = (tmp_path / "out" / "train" / "manifest.csv").read_text()
    assert "half0/train-0" in merged and "half1/train-0" in merged
    assert ",test," not in merged
    notes = [note.text for note in done.content.notes]
    assert any("test images were used in training" in note for note in notes)
    assert any("(same name), train-0, train-1, train-2" in note for note in notes)
    with pytest.raises(InputError, match="both list"):
        run(tmp_path / "twice", recipes=[recipe], train=[halves[0], tiny_manifest], test=[measured])


def test_scores_of_another_model_are_not_mixed_in(model, tiny_run, measured, tmp_path):
    run(tmp_path / "out", models=[model], test=[measured])
    bare = write_bundle(tmp_path / "tiny.facepad", find_model(tiny_run).read())
    with pytest.raises(InputError, match="holds scores of another model or manifest"):
        run(tmp_path / "out", models=[bare], test=[measured])


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"training_data": "a public set"}, "a public set"),
        ({"manifest": "desk.csv"}, "desk.csv"),
        ({"training_data": "a public set", "manifest": "desk.csv"}, "a public set; desk.csv"),
        ({"training_data": ""}, "not stated"),
    ],
)
def test_training_data_are_those_that_the_model_states(model, measured, tmp_path, facts, told):
    bundle = find_model(model).read()
    stated = replace(bundle, description=bundle.description.model_copy(update={"facts": facts}))
    path = write_bundle(tmp_path / "stated.facepad", stated)
    [member] = make_plan(CrossSettings(models=[path], test=[measured]), tmp_path / "out").members
    assert member.trained_on == told


def test_model_files_of_adapt_are_named_by_their_folders(model, measured, tmp_path):
    for folder in ("office", "shop", "old/shop"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "model.facepad").write_bytes(model.read_bytes())
    models = [model, *(tmp_path / folder / "model.facepad" for folder in ("office", "shop", "old/shop"))]
    plan = make_plan(CrossSettings(models=models, test=[measured]), tmp_path / "out")
    assert [member.system for member in plan.members] == ["tiny", "office", "shop (1)", "shop (2)"]


def test_bad_input_is_one_line_and_leaves_no_folder(facepad, model, noisy_manifest, measured, manifest_like, tmp_path):
    for name in ("one-class", "no-boxes", "folds"):
        (tmp_path / name).mkdir()
    one_class = manifest_like(tmp_path / "one-class", lambda s: s if s.label is Label.ATTACK else None)
    no_boxes = manifest_like(tmp_path / "no-boxes", lambda s: replace(s, box=None))
    fold = manifest_like(tmp_path / "folds", lambda s: s)
    for number in (0, 2):
        (tmp_path / "folds" / f"manifest-fold{number}.csv").write_bytes(fold.read_bytes())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    out = tmp_path / "out"
    for words, message in (
        ((out, "--test", one_class, "--model", model), "a test set needs images of both classes"),
        ((out, "--test", no_boxes, "--model", model), "has no face boxes"),
        ((out, "--test", tmp_path / "none.csv", "--model", model), "none.csv does not exist"),
        ((out, "--test", tmp_path / "folds" / "manifest-fold*.csv", "--model", model), "manifest-fold1.csv is missing"),
        ((out, "--test", measured), "needs a model or a recipe"),
        ((out, "--model", model), "needs a test set"),
        ((out, "--test", measured, "--model", "nowhere"), "unknown model 'nowhere'"),
        ((out, "--test", measured, "--recipe", "tla-mobilenetv2"), "needs a source"),
        ((out, "--test", measured, "--recipe", "tla-mobilenetv2", "--train", measured), "training needs images"),
        ((out, "--test", measured, "--model", model, "--criterion", "0.5"), "a threshold, not a criterion"),
        ((tmp_path / "full", "--test", measured, "--model", model), "is not empty"),
    ):
        code, _, err = facepad("cross", *words)
        assert (code, len(err.strip().splitlines())) == (2, 1), err
        assert message in err
        assert not out.exists()
    code, _, err = facepad("cross", tmp_path / "full" / "mine.txt", "--test", measured, "--model", model)
    assert code in (1, 2)
    assert "cannot write" in err


def test_the_command_prints_the_plan_and_the_overview(facepad, model, noisy_manifest, measured, tmp_path):
    words = ("--test", measured, noisy_manifest, "--model", model)
    code, out, err = facepad("cross", tmp_path / "out", *words)
    assert code == 0, err
    assert "plan: 1 model, 2 test sets: 2 cells with" in err.splitlines()[0]
    plan = make_plan(CrossSettings(models=[model], test=[measured]), tmp_path / "plan")
    assert plan.words() == "1 model, 1 test set: 1 cell with 48 images"
    [manifest] = plan.samples
    single = replace(plan, samples={manifest: plan.samples[manifest][:1]})
    assert single.words() == "1 model, 1 test set: 1 cell with 1 image"
    assert out.startswith("## Overview, frames")
    with exclusive(tmp_path / "out", "measuring"):
        code, _, err = facepad("cross", tmp_path / "out", *words)
    assert code == 2
    assert "another process is measuring" in err


def test_values_after_one_list_option_are_its_values():
    words = ["out", "--model", "a", "b", "--fuse", "min", "--test", "c", "d"]
    assert spread_lists(words) == ["out", "--model", "a", "--model", "b", "--fuse", "min", "--test", "c", "--test", "d"]
    assert spread_lists(["--test", "c", "out"]) == ["--test", "c", "out"]


def test_an_interrupted_call_continues_after_its_last_finished_cell(
    model, noisy_manifest, measured, tmp_path, monkeypatch
):
    settings = {"models": [model], "test": [measured, noisy_manifest]}
    scored, real = [], cells_module.score_samples

    def stopped(scorer, root, samples, **options):
        if scored:
            raise KeyboardInterrupt
        scored.append(len(samples))
        return real(scorer, root, samples, **options)

    monkeypatch.setattr(cells_module, "score_samples", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", **settings)
    scored.clear()  # one more list of samples may be scored: those of the second set
    done = run(tmp_path / "out", **settings)
    assert scored == [24]
    assert {cell.test for cell in done.content.cells} == {"phone", noisy_manifest.parent.name}


def test_requirements_are_held_at_video_level_at_each_threshold_but_that_of_the_test(
    crossed, model, measured, noisy_manifest, facepad
):
    out, before = crossed
    code, text, _ = facepad(
        *("cross", out, "--model", model, "--train", noisy_manifest, "--test", measured),
        *("--require", "apcer=0.07", "--require", "bpcer=0.5"),
    )
    document = json.loads((out / "cross.json").read_text())
    found = document["requirements"]
    assert [(each["rate"], each["threshold_from"], each["level"]) for each in found] == [
        ("apcer", "dev", "video"),
        ("bpcer", "dev", "video"),
        ("apcer", "model", "video"),
        ("bpcer", "model", "video"),
    ]
    [videos] = [cell for cell in before.content.cells if cell.level == "video"]
    for each in found:
        threshold = videos.summaries[each["threshold_from"]].threshold.value
        label = Label.ATTACK if each["rate"] == "apcer" else Label.BONA_FIDE
        group = [record for record in videos.records if record.label is label]
        wrong = sum((record.score >= threshold) != (label is Label.BONA_FIDE) for record in group)
        assert (each["presentations"]["errors"], each["presentations"]["n"]) == (wrong, len(group))
    assert code == (5 if any(each["presentations"]["verdict"] == "FAIL" for each in found) else 0)
    for place in (text, (out / "cross.md").read_text()):
        assert "## Requirements" in place and "source's dev" in place
    assert 'id="requirements"' in (out / "cross.html").read_text()
    rows = list(csv.DictReader((out / "requirements.csv").read_text().splitlines()))
    assert [(row["threshold_from"], row["verdict"]) for row in rows] == [
        (THRESHOLDS[each["threshold_from"]], each["presentations"]["verdict"]) for each in found
    ]
    assert r"\toprule" in (out / "cross.tex").read_text().partition("% Requirements")[2]


def test_each_cell_has_its_own_verdict_on_a_profile_as_a_whole(model, noisy_manifest, measured, tmp_path, facepad):
    out = tmp_path / "out"
    words = ("cross", out, "--model", model, "--train", noisy_manifest, "--test", measured)
    facepad(*words, "--profile", "ibeta-level-1")
    found = json.loads((out / "cross.json").read_text())["profiles"]
    assert [(each["threshold_from"], each["profile"]) for each in found] == [
        ("dev", "ibeta-level-1"),
        ("model", "ibeta-level-1"),
    ]
    assert all(each["verdict"] in ("TOO FEW", "FAIL") and "of 6 PAI species" in str(each["reasons"]) for each in found)
    rows = list(csv.DictReader((out / "requirements.csv").read_text().splitlines()))
    assert [row["verdict"] for row in rows if not row["requirement"]] == [each["verdict"] for each in found]
    for name in ("cross.html", "cross.md", "cross.tex"):
        assert "of 6 PAI species" in (out / name).read_text()


@pytest.fixture(scope="module")
def of_people(manifest_like, tmp_path_factory):
    """A test set whose people have a gender, and whose videos are presentations."""
    folder = tmp_path_factory.mktemp("people") / "gate"
    folder.mkdir()

    def change(sample):
        number = int(Path(sample.path).stem)
        gender = ("gender", "fm"[number // 2 % 2])
        return replace(sample, subject=f"p{number // 2}", split=None, video=str(sample.label), attributes=(gender,))

    return manifest_like(folder, change)


def test_groups_are_measured_at_video_level_at_each_threshold_but_that_of_the_test(
    model, noisy_manifest, of_people, measured, tmp_path, facepad
):
    out = tmp_path / "out"
    words = ("cross", out, "--model", model, "--train", noisy_manifest, "--test", of_people, "--by", "gender")
    code, _, err = facepad(*words)
    assert code == 0, err
    cells = json.loads((out / "cross.json").read_text())["cells"]
    grouped = {
        (cell["level"], origin) for cell in cells for origin, found in cell["thresholds"].items() if found["groups"]
    }
    assert grouped == {("video", "dev"), ("video", "model")}
    [videos] = [cell for cell in cells if cell["level"] == "video"]
    scores = out / "cells" / "tiny" / "gate" / "scores.csv"
    records = to_videos(read_scores(scores).records, "mean")
    for origin in ("dev", "model"):
        threshold = videos["thresholds"][origin]["threshold"]["value"]
        groups = compare_groups(records, threshold, ["gender"], "subject", Resampling("subject"))
        assert videos["thresholds"][origin]["groups"] == groups.to_dict()
    page, markdown = Page((out / "cross.html").read_text()), (out / "cross.md").read_text()
    assert page.sections()[1] == "groups"
    for place in (page.text, markdown):
        assert "tiny on gate, videos; threshold from source's dev" in place
        assert "tiny on gate, videos; threshold from model's own" in place
    code, _, err = facepad(*words[:-1], "gendre")
    assert (code, err) == (
        2,
        f"facepad: {of_people}: the measured samples have no column 'gendre' (did you mean 'gender'?); the attributes "
        "are gender\n",
    )
    code, _, err = facepad(*words[:-2], "--test", measured, "--by", "gender")
    assert code == 2 and f"{measured}: the measured samples have no column 'gender'" in err


def test_groups_without_a_threshold_from_other_data_are_refused_before_the_work(bare_model, of_people, tmp_path):
    with pytest.raises(InputError, match="has no threshold for gate, so .* no group be measured: .*--train"):
        cross(tmp_path / "out", CrossSettings(models=[bare_model], test=[of_people], by=("gender",)))
    assert not (tmp_path / "out" / "cells").exists()


def test_requirements_without_a_threshold_from_other_data_are_refused_before_the_work(bare_model, measured, tmp_path):
    settings = CrossSettings(models=[bare_model], test=[measured], requirements=read_requirements(["apcer=0.07"]))
    with pytest.raises(InputError, match="has no threshold for phone, so no requirement can be checked .*--train"):
        cross(tmp_path / "out", settings)
    assert not (tmp_path / "out" / "cells").exists()


@pytest.fixture(scope="module")
def bare_model(tiny_run, tmp_path_factory):
    """The tiny run as a model file without a threshold."""
    return write_bundle(tmp_path_factory.mktemp("bare") / "bare.facepad", find_model(tiny_run).read())


def test_a_cell_names_the_seed_and_the_folds_of_its_run():
    def words(seed, train_fold, test_fold):
        return CrossCell("system", "test", "frame", seed, train_fold, test_fold, {}, [], "").run

    assert words(None, "", "") == ""
    assert words(3, "", "") == "seed 3"
    assert words(3, "fold0", "fold0") == "seed 3, fold0"
    assert words(None, "fold0", "fold1") == "trained on fold0, fold1"
