"""facepad calibrate: what a dev set gives a model, and which dev sets are refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facepad.datasets.manifest import manifest_hash, read_manifest
from facepad.errors import InputError, MetricError
from facepad.files.disk import sha256_file
from facepad.metrics import NoteKind, choose_threshold, expected_calibration_error, has_note, joined, remarks
from facepad.modelfile.bundle import Calibration, read_bundle, write_bundle
from facepad.modelfile.catalog import find_model
from facepad.modelfile.scorers import BundleScorer
from facepad.types import AttackType, Label, Split
from facepad.workflow import calibrate as module
from facepad.workflow.calibrate import CalibrationSettings, calibrate_bundle, calibrate_model
from facepad.workflow.overlap import detector_notes, dev_notes
from facepad.workflow.scoring import ScoredSamples, score_samples


@pytest.fixture(scope="module")
def plain(tiny_run):
    return find_model(tiny_run).read()


def dev_records(bundle, manifest):
    dev = [sample for sample in read_manifest(manifest) if sample.split is Split.DEV]
    return score_samples(BundleScorer(bundle), manifest.parent, dev).records


def cross_entropy(records):
    return np.mean(
        [
            np.mean([-np.log(r.score if r.label is label is Label.BONA_FIDE else 1 - r.score) for r in part])
            for label in Label
            if (part := [r for r in records if r.label is label])
        ]
    )


def test_a_listed_model_is_not_taken_for_the_file_of_its_name(noisy_manifest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuaa-research").write_bytes(b"somebody's own")
    with pytest.raises(InputError, match=r"is a listed model, .* name a new file: --out FILE"):
        calibrate_model("nuaa-research", noisy_manifest)
    assert (tmp_path / "nuaa-research").read_bytes() == b"somebody's own"


@pytest.mark.parametrize("method", ["platt", "temperature"])
def test_a_model_gets_calibration_and_the_threshold_of_its_calibrated_scores(plain, noisy_manifest, method):
    done = calibrate_bundle(plain, noisy_manifest, method=method).bundle
    calibration, threshold = done.description.calibration, done.description.threshold
    assert calibration.method == method
    assert (calibration.offset != 0) == (method == "platt")
    assert manifest_hash(noisy_manifest)[:16] in calibration.source
    before, after = dev_records(plain, noisy_manifest), dev_records(done, noisy_manifest)
    assert cross_entropy(after) < cross_entropy(before)
    assert threshold.value == choose_threshold(after, "eer", source="").value
    assert threshold.origin.split is Split.DEV
    assert manifest_hash(noisy_manifest)[:16] in threshold.origin.source
    orders = [np.argsort([record.score for record in records]).tolist() for records in (before, after)]
    assert orders[0] == orders[1]
    for records, error in ((before, calibration.ece_before), (after, calibration.ece_after)):
        assert error == pytest.approx(
            expected_calibration_error(*([r.score for r in records if r.label is label] for label in Label))
        )


def test_few_people_are_refused_and_with_force_marked_as_weak_everywhere(plain, noisy_manifest, tmp_path, facepad):
    path = write_bundle(tmp_path / "a.facepad", plain)
    first = sha256_file(path)
    code, out, err = facepad("calibrate", path, noisy_manifest)
    assert (code, out, err.count("\n"), sha256_file(path)) == (2, "", 1, first)
    assert "at least 5 people of each class" in err and "show 3 bona fide and 3 in attacks" in err and "--force" in err
    code, out, err = facepad("calibrate", path, noisy_manifest, "--force")
    assert code == 0, err
    assert "weak: chosen on few people (3 bona fide, 3 in attacks)" in out
    described = read_bundle(path).description
    for notes in (
        described.threshold.origin.notes,
        described.calibration.notes,
        *(preset.threshold.origin.notes for preset in described.presets),
    ):
        assert has_note(notes, NoteKind.WEAK)


def test_five_people_of_each_class_are_enough(plain, manifest_like, tmp_path):
    manifest = manifest_like(tmp_path, lambda sample: replace(sample, split=None))  # the nine people of all splits
    model = write_bundle(tmp_path / "a.facepad", plain)
    described = calibrate_model(model, manifest).bundle.description
    assert not has_note([*described.threshold.origin.notes, *described.calibration.notes], NoteKind.WEAK)
    assert [preset.name for preset in described.presets] == ["strict", "balanced", "lenient"]
    assert described.presets[1].threshold.value == described.threshold.value
    assert described.presets[1].threshold.origin.source == described.threshold.origin.source


def test_a_calibration_that_makes_the_error_higher_is_weak(plain, noisy_manifest, monkeypatch):
    errors = iter([0.38, 0.44])
    monkeypatch.setattr(module, "expected_calibration_error", lambda bona_fide, attack: next(errors))
    described = calibrate_bundle(plain, noisy_manifest).bundle.description
    text = "weak: the calibration raised the expected calibration error from 0.380 to 0.440"
    assert text in joined(described.calibration.notes) and text in joined(described.threshold.origin.notes)


def test_what_dev_lacks_is_said(plain, manifest_like, tmp_path):
    def change(sample):
        if sample.split is Split.TEST and sample.attack_type:
            return replace(sample, attack_type=AttackType.REPLAY_VIDEO)
        return sample

    manifest = manifest_like(tmp_path, change)
    about = {"sha256": manifest_hash(manifest), "sources": {"desk": {"train": 9}, "door": {"train": 4, "dev": 2}}}
    (tmp_path / "prepare.json").write_text(
        json.dumps({"runs": [{"detector": "dlib", "manifests": {"manifest.csv": about}}]})
    )
    texts = [note.text for note in calibrate_bundle(plain, manifest).bundle.description.threshold.origin.notes]
    assert [text for text in texts if text.startswith("no dev sample")] == [
        f"no dev sample shows {what}, but other samples do: the threshold was not chosen for it"
        for what in ("the attack replay_video", "the data set desk")
    ]


def test_method_none_only_chooses_a_threshold(plain, noisy_manifest):
    done = calibrate_bundle(plain, noisy_manifest, method="none", criterion="apcer@bpcer=0.1").bundle
    assert (done.description.calibration.slope, done.description.calibration.offset) == (1, 0)
    assert done.description.threshold.criterion == "apcer@bpcer=0.1"


def test_method_none_keeps_the_calibration_that_there_is(plain, noisy_manifest):
    first = calibrate_bundle(plain, noisy_manifest).bundle
    again = calibrate_bundle(first, noisy_manifest, method="none").bundle
    assert again.description == first.description
    assert again.description.calibration.method == "platt"


def test_figures_at_another_threshold_are_forgotten(plain, noisy_manifest):
    facts = plain.description.facts | {"parity": {"data": "elsewhere"}}
    old = type(plain)(plain.description.model_copy(update={"facts": facts}), plain.files)
    assert calibrate_bundle(old, noisy_manifest).bundle.description.facts == plain.description.facts


def test_dev_images_that_training_used_are_named(plain, tiny_run, noisy_manifest, manifest_like, tmp_path, facepad):
    manifest = manifest_like(tmp_path, lambda sample: replace(sample, split=None))
    model = write_bundle(tmp_path / "model.facepad", plain)
    for given, words in (
        (tiny_run, "24 of 72 dev images were used in training"),
        (model, "trained on another manifest"),
    ):
        out = tmp_path / f"{given.name}.done"
        code, said, err = facepad("calibrate", given, manifest, "--force", "--out", out)
        assert code == 0, err
        assert f"note: {words}" in said.replace("note: the model was ", "note: ")
        assert (said + err).count(words) == 1
        assert words in read_bundle(out).description.threshold.origin.notes[0].text
    _, said, err = facepad("calibrate", tiny_run, noisy_manifest, "--force", "--out", tmp_path / "honest")
    assert "dev images" not in said + err


def test_a_folder_of_a_listed_name_is_not_asked_what_was_learnt(plain, noisy_manifest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuaa-research").mkdir()
    assert dev_notes(find_model("nuaa-research").run, plain, noisy_manifest, []) == []


@pytest.fixture
def separable(plain, manifest_like, tiny_manifest, tmp_path):
    """The dev images that the model decides rightly."""
    records = dev_records(plain, tiny_manifest)
    threshold = choose_threshold(records, "eer", source="dev").value
    right = {
        Path(record.path).stem for record in records if (record.score > threshold) == (record.label is Label.BONA_FIDE)
    }
    return manifest_like(tmp_path, lambda sample: sample if Path(sample.path).stem in right else None)


def test_boxes_of_another_detector_are_noted(make_model, manifest_like, tmp_path):
    manifest = manifest_like(tmp_path, lambda sample: sample)
    model = read_bundle(make_model(tmp_path / "model.facepad", detector="dlib"))
    for detector, noted in (("yunet", True), ("dlib", False), ("nuaa's own, else dlib", True)):
        made = {"detector": detector, "manifests": {"manifest.csv": {"sha256": manifest_hash(manifest)}}}
        (tmp_path / "prepare.json").write_text(json.dumps({"runs": [made]}))
        notes = detector_notes(manifest, model)
        assert any(f"faces were found by {detector}" in note for note in notes) is noted


def test_separable_dev_is_calibrated_on_degraded_images_or_not_at_all(plain, separable, monkeypatch):
    done = calibrate_bundle(plain, separable).bundle.description
    assert done.threshold.origin.separable
    assert "separable" in joined(done.calibration.notes)
    monkeypatch.setattr(module, "degraded", lambda crop: crop)  # still separable
    done = calibrate_bundle(plain, separable).bundle.description
    assert (done.calibration.method, done.calibration.slope) == ("none", 1)
    assert "also on degraded images" in joined(done.calibration.notes)
    line = Calibration(method="platt", offset=-1.5, notes=remarks(["of the members"]))  # as fusing makes it
    fused = type(plain)(plain.description.model_copy(update={"calibration": line}), plain.files)
    done = calibrate_bundle(fused, separable).bundle.description
    assert (done.calibration.method, done.calibration.offset) == ("platt", -1.5)
    texts = [note.text for note in done.calibration.notes]
    assert (texts[0], texts[2]) == ("of the members", "the calibration was not changed")
    assert texts[1].startswith("the scores of")
    again = type(plain)(plain.description.model_copy(update={"calibration": done.calibration}), plain.files)
    assert calibrate_bundle(again, separable).bundle.description.calibration == done.calibration
    shuffled = dev_records(plain, separable)
    overlapping = [replace(shuffled[0], score=logit) for logit in (-1.0, 1.0, 2.0)]
    other = next(record for record in shuffled if record.label is not shuffled[0].label)
    overlapping += [replace(other, score=logit) for logit in (-2.0, -1.0, 0.5)]
    if other.label is Label.BONA_FIDE:
        overlapping = [replace(record, score=-record.score) for record in overlapping]
    monkeypatch.setattr(module, "score_samples", second_time(module.score_samples, ScoredSamples(overlapping, {})))
    done = calibrate_bundle(plain, separable).bundle.description
    assert done.calibration.method == "platt"
    assert "fitted to degraded dev images" in joined(done.calibration.notes)
    assert done.threshold.origin.separable


def second_time(function, result):
    calls = []

    def call(*arguments, **options):
        calls.append(1)
        return result if len(calls) == 2 else function(*arguments, **options)

    return call


def test_degradation_is_a_function_of_the_crop():
    crop = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert (module.degraded(crop) == module.degraded(crop.copy())).all()
    assert (module.degraded(crop) != crop).any()


def test_a_model_file_is_rewritten_in_place_or_left_as_it_is(plain, noisy_manifest, tmp_path, facepad):
    path = write_bundle(tmp_path / "a.facepad", plain)
    first = sha256_file(path)
    code, out, err = facepad("calibrate", path, noisy_manifest, "--force", "--out", tmp_path / "b.facepad")
    assert code == 0, err
    assert "expected calibration error on these scores" in out and "threshold" in out
    assert sha256_file(path) == first
    code, _, err = facepad("calibrate", path, noisy_manifest, "--force", "--criterion", "bpcer@apcer=0.4")
    assert code == 0, err
    again = read_bundle(path).description
    assert again.threshold.criterion == "bpcer@apcer=0.4"
    assert again.calibration == read_bundle(tmp_path / "b.facepad").description.calibration
    assert again.networks == plain.description.networks


def test_an_upside_down_model_is_refused(plain, noisy_manifest):
    [network] = plain.description.networks
    turned = plain.description.model_copy(update={"networks": (network.model_copy(update={"weight": -1.0}),)})
    with pytest.raises(MetricError, match="do not rise"):
        calibrate_bundle(type(plain)(turned, plain.files), noisy_manifest)


def test_a_manifest_without_splits_is_all_dev(plain, manifest_like, noisy_manifest, tmp_path):
    manifest = manifest_like(tmp_path, lambda sample: replace(sample, split=None))
    threshold = calibrate_bundle(plain, manifest, method="none").bundle.description.threshold
    assert (threshold.origin.n_bona_fide, threshold.origin.n_attack, threshold.origin.split) == (36, 36, None)


def test_bad_input_is_refused_before_anything_is_scored(plain, tiny_run, noisy_manifest, manifest_like, tmp_path):
    def without(split, label=None):
        folder = tmp_path / f"{split}-{label}"
        folder.mkdir()
        return manifest_like(folder, lambda s: None if s.split is split and label in (None, s.label) else s)

    model = write_bundle(tmp_path / "a.facepad", plain)
    first = sha256_file(model)
    for arguments, message in (
        ((model, without(Split.DEV, Label.ATTACK)), "got 12 bona fide and 0 attack"),
        ((model, without(Split.DEV)), "got 0 bona fide and 0 attack"),
        ((model, tmp_path / "absent.csv"), "cannot read manifest"),
        ((tiny_run, noisy_manifest), "--out FILE"),
        ((tmp_path / "absent.facepad", noisy_manifest), "or the path of a model file"),
        ((model, noisy_manifest, model), "exists already"),
    ):
        with pytest.raises(InputError, match=message):
            calibrate_model(*arguments)
    with pytest.raises(MetricError, match="did you mean 'eer'"):
        calibrate_model(model, noisy_manifest, settings=CalibrationSettings("err", force=True))
    assert sha256_file(model) == first
