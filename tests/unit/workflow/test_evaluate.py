"""facepad evaluate on model files: the same figures as the run, at the model's own threshold or one chosen on dev."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from facepad.errors import InputError
from facepad.metrics import read_requirements, to_videos
from facepad.modelfile.bundle import Bundle, write_bundle
from facepad.modelfile.catalog import FoundModel, find_model
from facepad.types import AttackType, Split
from facepad.workflow import evaluate as module
from facepad.workflow.calibrate import calibrate_bundle
from facepad.workflow.evaluate import evaluate_model
from facepad.workflow.scoring import EvaluationOptions
from helpers.patience import PATIENCE


@pytest.fixture(scope="module")
def model(tiny_run, noisy_manifest, tmp_path_factory):
    """The tiny run as a model file with calibration and threshold."""
    done = calibrate_bundle(find_model(tiny_run).read(), noisy_manifest, criterion="apcer@bpcer=0.3").bundle
    return write_bundle(tmp_path_factory.mktemp("model") / "tiny.facepad", done)


@pytest.fixture(scope="module")
def bare(tiny_run, tmp_path_factory):
    """The same without both."""
    return write_bundle(tmp_path_factory.mktemp("bare") / "bare.facepad", find_model(tiny_run).read())


def evaluate(model, manifest, out, **options):
    return evaluate_model(model, manifest, out, EvaluationOptions(probes=False, **options))


def test_a_model_file_is_measured_at_its_own_threshold_and_needs_no_dev(model, manifest_like, noisy_manifest, tmp_path):
    threshold = find_model(model).read().description.threshold
    kept = {Path(r.path).stem: r for r in read_scores_of(model, noisy_manifest, tmp_path)}

    def change(sample):
        record = kept.get(Path(sample.path).stem)
        return replace(sample, label=record.label, attack_type=record.attack_type) if record else None

    (tmp_path / "data").mkdir()
    manifest = manifest_like(tmp_path / "data", change)
    evaluation, _ = evaluate(model, manifest, tmp_path / "own")
    assert evaluation.summary.threshold == threshold
    assert {record.split for record in evaluation.records} == {Split.TEST}
    assert f"the threshold is the model's own, from {threshold.origin.source}" in map(str, evaluation.summary.notes)
    assert any(
        "limits of size, light, sharpness, border, roll and yaw in predict" in note.text
        for note in evaluation.summary.notes
    )
    with pytest.raises(InputError, match="split 'dev'"):
        evaluate(model, manifest, tmp_path / "chosen", criterion="eer")
    assert not (tmp_path / "chosen").exists()


def read_scores_of(model, manifest, folder):
    evaluation, _ = evaluate(model, manifest, folder / "all")
    return [record for record in evaluation.records if record.split is Split.TEST]


def test_a_criterion_chooses_on_dev_and_a_bare_model_takes_eer(model, bare, noisy_manifest, tmp_path):
    chosen, _ = evaluate(model, noisy_manifest, tmp_path / "chosen", criterion="min-hter")
    assert chosen.summary.threshold.criterion == "min-hter"
    assert chosen.summary.threshold.origin.source == str(tmp_path / "chosen" / "scores.csv")
    plain, _ = evaluate(bare, noisy_manifest, tmp_path / "plain")
    assert (plain.summary.threshold.criterion, plain.summary.threshold.origin.split) == ("eer", Split.DEV)


def test_a_bare_model_file_gives_the_run_s_figures(bare, tiny_run, noisy_manifest, tmp_path):
    of_file, page = evaluate(bare, noisy_manifest, tmp_path / "file", why=True)
    of_run, run_page = evaluate(tiny_run, noisy_manifest, tmp_path / "run")
    assert of_file.records == of_run.records
    assert of_file.summary.rates == of_run.summary.rates
    pages = page.read_text(), run_page.read_text()
    assert ["Recipe" in text for text in pages] == [False, True]
    assert "Learning curves" not in pages[0]
    assert ["is an occlusion map" in text for text in pages] == [True, False]
    assert pages[0].count("Places that speak for live (blue)") == pages[0].count("<dt>Loss</dt>") > 2
    assert "manifest_sha256" in pages[0]
    metrics = json.loads((tmp_path / "file" / "metrics.json").read_text())
    assert metrics["eer"] == json.loads((tmp_path / "run" / "metrics.json").read_text())["eer"]


def test_another_manifest_than_the_training_s_is_said(model, tiny_manifest, noisy_manifest, tmp_path):
    other, _ = evaluate(model, tiny_manifest, tmp_path / "other")
    same, _ = evaluate(model, noisy_manifest, tmp_path / "same")
    said = [any("trained on another manifest" in note.text for note in e.summary.notes) for e in (other, same)]
    assert said == [True, False]


def test_a_model_without_a_file_has_no_hash_in_the_report(model, noisy_manifest, tmp_path, monkeypatch):
    bundle = replace(find_model(model).read(), sha256="")  # as a described network has none
    monkeypatch.setattr(FoundModel, "read", lambda self: bundle)
    _, page = evaluate(model, noisy_manifest, tmp_path / "out")
    assert f"{bundle.description.name}, SHA-256" not in page.read_text()


def test_videos_at_a_threshold_of_images_are_said(model, manifest_like, noisy_manifest, tmp_path):
    manifest = manifest_like(tmp_path, lambda sample: replace(sample, video=f"{sample.label}-{sample.path[-5]}"))
    evaluation, page = evaluate(model, manifest, tmp_path / "out", aggregation="mean", why=True)
    assert "Places that speak for live (blue)" in page.read_text()
    assert any("chosen on single images" in note.text for note in evaluation.summary.notes)


def test_a_depth_model_file_shows_depth(noisy_manifest, make_run, tmp_path):
    run = make_run(tmp_path / "run", noisy_manifest, "attention_fusion", {"deep_tap": 13})
    _, page = evaluate(write_bundle(tmp_path / "a.facepad", find_model(run).read()), noisy_manifest, tmp_path / "out")
    assert "Depth maps" in page.read_text()


def test_depth_pictures_of_videos_carry_the_videos_decision(manifest_like, make_run, noisy_manifest, tmp_path):
    run = make_run(tmp_path / "run", noisy_manifest, "attention_fusion", {"deep_tap": 13})
    manifest = manifest_like(
        tmp_path, lambda sample: replace(sample, video=f"{sample.label}-{int(sample.path[-5]) % 3}")
    )
    shown = []
    examples = module.depth_examples
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "depth_examples", lambda *given: shown.extend(made := examples(*given)) or made)
        evaluation, _ = evaluate(run, manifest, tmp_path / "out", aggregation="mean")
    videos = {record.path: record for record in to_videos(evaluation.records, "mean")}
    assert shown
    for example in shown:
        record = videos[example.path]
        assert example.score == record.score
        assert example.accepted is (record.score >= evaluation.summary.threshold.value)


def test_model_files_are_evaluated_without_torch(model, noisy_manifest, tmp_path):
    code = f"""
import sys
for name in ("torch", "lightning", "safetensors", "onnx"):
    sys.modules[name] = None
from facepad.cli import main
sys.argv = ["facepad", "evaluate", {str(model)!r}, {str(noisy_manifest)!r}, {str(tmp_path / "out")!r}, "--no-probes"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=PATIENCE, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the threshold is the model's own" in done.stdout


def test_a_model_that_is_nowhere_or_broken_is_one_line(facepad, model, noisy_manifest, tmp_path):
    (tmp_path / "broken.facepad").write_bytes(model.read_bytes()[:500])
    for name, message in (
        ("nowhere", "or the path of a model file or run folder"),
        (tmp_path / "broken.facepad", "truncated or damaged"),
    ):
        code, out, err = facepad("evaluate", name, noisy_manifest, tmp_path / "out")
        assert (code, out, len(err.strip().splitlines())) == (2, "", 1)
        assert message in err
        assert not (tmp_path / "out").exists()


def test_several_networks_are_evaluated_as_one(model, noisy_manifest, tmp_path):
    bundle = find_model(model).read()
    [network] = bundle.description.networks
    halves = tuple(network.model_copy(update={"name": name, "weight": 0.5}) for name in "ab")
    fused = Bundle(bundle.description.model_copy(update={"networks": halves}), bundle.files)
    path = write_bundle(tmp_path / "two.facepad", fused)
    two, _ = evaluate(path, noisy_manifest, tmp_path / "two")
    one, _ = evaluate(model, noisy_manifest, tmp_path / "one")
    assert [r.score for r in two.records] == pytest.approx([r.score for r in one.records])


def only(split):
    """A change of a sample for `manifest_like`: other splits are dropped."""
    return lambda sample: sample if sample.split is split else None


def texts(evaluation):
    return [note.text for note in evaluation.summary.notes]


def test_a_run_elsewhere_takes_the_threshold_of_its_own_dev(tiny_run, noisy_manifest, manifest_like, tmp_path):
    (tmp_path / "data").mkdir()
    other = manifest_like(tmp_path / "data", only(Split.TEST))
    own, _ = evaluate(tiny_run, noisy_manifest, tmp_path / "own")
    elsewhere, page = evaluate(tiny_run, other, tmp_path / "elsewhere")
    assert elsewhere.summary.threshold.value == own.summary.threshold.value
    assert elsewhere.summary.threshold.origin.sha256 == own.summary.threshold.origin.sha256
    assert {record.split for record in elsewhere.records} == {Split.TEST}
    assert any(
        note.startswith("the threshold is chosen on the dev samples of the training") for note in texts(elsewhere)
    )
    assert not any("threshold is chosen" in note for note in texts(own))
    assert not (tmp_path / "own" / "dev-scores.csv").exists()
    assert "Scores on dev" in page.read_text()


def test_another_manifest_s_dev_can_choose_the_threshold(model, tiny_run, noisy_manifest, tiny_manifest, tmp_path):
    of_run, _ = evaluate(tiny_run, noisy_manifest, tmp_path / "run", dev=tiny_manifest)
    of_file, _ = evaluate(model, noisy_manifest, tmp_path / "file", dev=tiny_manifest)
    assert of_run.summary.threshold.origin.source == str(tmp_path / "run" / "dev-scores.csv")
    assert of_file.summary.threshold.criterion == "apcer@bpcer=0.3"
    assert any("the model's own threshold is not used" in note for note in texts(of_file))
    with pytest.raises(InputError, match="given as a number"):
        evaluate(tiny_run, noisy_manifest, tmp_path / "number", dev=tiny_manifest, criterion=0.5)
    assert not (tmp_path / "number").exists()


def test_test_images_that_also_choose_the_threshold_are_said_and_only_these_are_refused(bare, manifest_like, tmp_path):
    def unsplit(keep):
        return lambda sample: replace(sample, split=None) if keep(sample) else None

    measured, some, same = (tmp_path / name for name in ("measured", "some", "same"))
    for folder, change in (
        (measured, only(Split.TEST)),
        (some, unsplit(lambda sample: sample.split is Split.DEV or sample.path.endswith(("02.png", "05.png")))),
        (same, unsplit(lambda sample: sample.split is Split.TEST)),
    ):
        folder.mkdir()
        manifest_like(folder, change)
    partly, _ = evaluate(bare, measured / "manifest.csv", tmp_path / "out", dev=some / "manifest.csv")
    assert "2 of 24 test images also chose the threshold: the figures are too optimistic" in texts(partly)
    with pytest.raises(InputError, match="that would choose the threshold are the test images"):
        evaluate(bare, measured / "manifest.csv", tmp_path / "refused", dev=same / "manifest.csv")
    assert not (tmp_path / "refused").exists()


def test_a_test_subject_that_differs_from_a_train_subject_only_in_spelling_is_said(tiny_run, manifest_like, tmp_path):
    manifest = manifest_like(
        tmp_path, lambda s: replace(s, subject="Train-1") if s.split is Split.TEST and s.subject == "test-1" else s
    )
    options = EvaluationOptions(0.5, probes=False)
    evaluation, _ = evaluate_model(tiny_run, manifest, tmp_path / "out", options, thumbnails=False)
    text = "'Train-1' and 'train-1' in different splits may be one person: give each person one name"
    assert texts(evaluation).count(text) == 1


def test_an_attack_that_dev_lacks_is_said_if_dev_chooses_the_threshold(bare, manifest_like, tmp_path):
    def change(sample):
        test_attack = sample.split is Split.TEST and sample.attack_type
        return replace(sample, attack_type=AttackType.MASK_3D) if test_attack else sample

    manifest = manifest_like(tmp_path, change)
    for criterion, said in (("eer", True), ("0.5", False)):
        evaluation, _ = evaluate(bare, manifest, tmp_path / criterion, criterion=criterion)
        text = "no dev sample shows the attack mask_3d, but other samples do: the threshold was not chosen for it"
        assert (text in texts(evaluation)) is said


def test_a_run_whose_training_manifest_is_gone_takes_the_set_s_own_dev_and_says_so(
    make_run, noisy_manifest, manifest_like, tiny_manifest, tmp_path
):
    run = make_run(tmp_path / "run", noisy_manifest, "mobilenet_v2", {"width": 0.25})
    known = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps(known | {"manifest": str(tmp_path / "gone.csv")}))
    there, _ = evaluate(run, tiny_manifest, tmp_path / "there")
    assert any("dev samples of the measured set itself" in note for note in texts(there))
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match=r"gone\.csv is missing; --dev names a manifest"):
        evaluate(run, manifest_like(tmp_path / "data", only(Split.TEST)), tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_videos_of_the_model_s_own_dev_set_choose_the_threshold_for_videos(bare, manifest_like, tmp_path):
    manifest = manifest_like(tmp_path, lambda sample: replace(sample, video=f"{sample.label}-{sample.path[-5]}"))
    own = write_bundle(tmp_path / "own.facepad", calibrate_bundle(find_model(bare).read(), manifest).bundle)
    evaluation, _ = evaluate(own, manifest, tmp_path / "out", aggregation="mean")
    assert any("for videos is chosen on the same dev set" in note for note in texts(evaluation))
    assert "chosen on videos (mean of their frames)" in map(str, evaluation.summary.threshold.origin.notes)


def test_requirements_are_in_every_file_of_the_report_and_decide_the_exit_code(bare, noisy_manifest, tmp_path, facepad):
    words = ("evaluate", bare, noisy_manifest, tmp_path / "out", "--no-probes", "--no-thumbnails")
    code, text, _ = facepad(*words, "--require", "bpcer=0.001", "--profile", "nist-800-63a-4")
    document = json.loads((tmp_path / "out" / "metrics.json").read_text())
    verdicts = [found["presentations"]["verdict"] for found in document["requirements"]]
    assert [found["rate"] for found in document["requirements"]] == ["bpcer", "apcer", "apcer"]
    assert code == (5 if "FAIL" in verdicts else 0) and "apcer<0.07" in text
    page, markdown = (tmp_path / "out" / "report.html").read_text(), (tmp_path / "out" / "report.md").read_text()
    assert 'id="requirements"' in page and "## Requirements" in markdown
    for verdict in verdicts:
        assert verdict in markdown and verdict in page


def test_requirements_on_frames_of_videos_are_refused_before_the_scoring(bare, manifest_like, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    manifest = manifest_like(tmp_path / "data", lambda sample: replace(sample, video=str(sample.label)))
    monkeypatch.setattr(module, "BundleScorer", lambda *_: pytest.fail("scored"))
    requirements = read_requirements(["apcer=0.07"])
    with pytest.raises(InputError, match="a video has up to .* frames here: .*--level video"):
        evaluate(bare, manifest, tmp_path / "out", requirements=requirements)
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    assert evaluate(bare, manifest, tmp_path / "out")[0].findings == []


def test_groups_of_a_manifest_s_column_are_in_every_file_of_the_report(bare, manifest_like, tmp_path):
    (tmp_path / "data").mkdir()
    manifest = manifest_like(
        tmp_path / "data", lambda sample: replace(sample, attributes=(("side", "lr"[sample.path[-5] in "02468"]),))
    )
    with pytest.raises(InputError, match="did you mean 'side'"):
        evaluate(bare, manifest, tmp_path / "wrong", by=("sides",))
    assert not (tmp_path / "wrong").exists()
    evaluation, page = evaluate(bare, manifest, tmp_path / "out", by=("side",))
    assert {record.attribute("side") for record in evaluation.records} == {"l", "r"}
    document = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [each["values"] for each in document["groups"]["groups"]] == [{"side": "l"}, {"side": "r"}]
    assert 'id="groups"' in page.read_text() and "## Groups" in (tmp_path / "out" / "report.md").read_text()


def test_our_row_beside_published_figures_names_the_measured_data(tiny_run, noisy_manifest, tmp_path):
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    written = json.loads((run / "recipe.json").read_text())
    written["recipe"]["published"] = "TLA-MobileNetV2"
    (run / "recipe.json").write_text(json.dumps(written))
    evaluate(run, noisy_manifest, tmp_path / "out")
    lines = (tmp_path / "out/report.md").read_text().splitlines()
    [row] = [line for line in lines if line.startswith("| This result")]
    assert row.split(" | ")[1] == noisy_manifest.parent.name


def test_a_column_that_the_frames_of_videos_disagree_on_is_refused_before_the_scoring(
    bare, manifest_like, tmp_path, monkeypatch
):
    (tmp_path / "data").mkdir()
    manifest = manifest_like(
        tmp_path / "data", lambda each: replace(each, video=str(each.label), attributes=(("n", each.path[-5]),))
    )
    monkeypatch.setattr(module, "BundleScorer", lambda *_: pytest.fail("scored"))
    with pytest.raises(InputError, match="the measured samples have no column 'n'"):
        evaluate(bare, manifest, tmp_path / "out", aggregation="mean", by=("n",))
