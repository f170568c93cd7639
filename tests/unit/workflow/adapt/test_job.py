from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import facepad.training.fit
from facepad.datasets.manifest import read_manifest, write_manifest
from facepad.datasets.origin import add_run
from facepad.errors import InputError, ModelError, OutputExistsError, ScoresError
from facepad.files.locks import exclusive
from facepad.files.trunks import TRUNKS
from facepad.metrics import NoteKind, has_note, read_requirements, read_scores
from facepad.modelfile.bundle import read_bundle
from facepad.types import Label
from facepad.workflow.adapt.adapted import AdaptSettings, adapted_words
from facepad.workflow.adapt.candidates import find_candidates, require_networks
from facepad.workflow.adapt.choice import judge
from facepad.workflow.adapt.fitting import FitData, fit_candidate
from facepad.workflow.adapt.job import adapt
from facepad.workflow.adapt.plan import Plan
from helpers.adapting import tiny_model, tiny_site

SETTINGS = AdaptSettings(jobs=1)


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A machine whose only network is "tiny"."""
    monkeypatch.delenv("FACEPAD_MODELS", raising=False)
    monkeypatch.setenv("FACEPAD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def fits(monkeypatch):
    """The folders of the fits that were started. The fit ``kill`` is killed, the fit ``diverge`` gets NaN."""

    fit, seen = facepad.training.fit.fit, SimpleNamespace(folders=[], kill=None, diverge=None)

    def counted(model, data, plan, folder, **options):
        seen.folders.append(folder.name)
        if len(seen.folders) == seen.kill:
            raise KeyboardInterrupt
        if len(seen.folders) == seen.diverge:
            next(model.parameters()).data.fill_(math.nan)
        return fit(model, data, plan, folder, **options)

    monkeypatch.setattr(facepad.training.fit, "fit", counted)
    return seen


def test_killed_adaptation_repeats_no_finished_fit_and_gives_the_same_bytes(home, fits, tmp_path):
    tiny_model(home)
    site = tiny_site(tmp_path / "site")
    settings = AdaptSettings(jobs=1, only=("tiny", "tiny-tuned"))
    fits.kill = 2
    with pytest.raises(KeyboardInterrupt):
        adapt(site, tmp_path / "killed", settings)
    fits.kill = None
    adapted = adapt(site, tmp_path / "killed", settings)
    assert fits.folders == ["fold-0", "fold-1", "fold-1", "fold-2", "all"]
    again = adapt(site, tmp_path / "whole", settings)
    assert again.bundle.description == adapted.bundle.description
    names = ("model.facepad", "scores.csv")
    assert all((tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in names)


def test_command_writes_a_model_that_decides_and_out_of_fold_scores(home, facepad, tmp_path):
    tiny_model(home)
    site, out = tiny_site(tmp_path / "site"), tmp_path / "out"
    code, text, messages = facepad("adapt", site, out, "--jobs", 1, "--require", "apcer=0.07", "--require", "bpcer=0.9")
    live = json.loads((out / "adapt.json").read_text())["requirements"][1]["presentations"]
    assert (live["n"], live["verdict"]) == (18, "PASS") and "requirements, from out-of-fold decisions:" in text
    assert code == (5 if "FAIL" in text else 0)
    assert "expect of new people: APCER" in text
    blanked = json.loads((out / "adapt.json").read_text())["evidence"]["probes"]["face blanked"]["value"]
    assert ("warning: With the face painted over" in text) == (blanked <= 0.1)
    assert "plan: 18 bona fide images of 3 people" in messages and "tiny-tuned" in messages
    model = read_bundle(out / "model.facepad").description
    assert model.threshold is not None and "cross-validation" in str(model.threshold.origin.notes)
    assert [preset.name for preset in model.presets] == ["strict", "balanced", "lenient"]
    balanced = model.presets[1]
    assert balanced.threshold.value == pytest.approx(model.threshold.value)
    assert balanced.apcer.value == model.facts["adapted"]["expected"]["apcer"]["value"]
    assert has_note(model.calibration.notes, NoteKind.WEAK) and has_note(balanced.threshold.origin.notes, NoteKind.WEAK)
    assert model.license == "Apache-2.0" and model.facts["adapted"]["expected"]["acer"]["high"] > 0
    assert len(read_scores(out / "scores.csv").records) == 36
    card = read_bundle(out / "model.facepad").files["CARD.md"].decode()
    assert "APCER, print" in card and "not a test" in card and "person-0" not in card + str(model.facts)
    report = (out / "report.md").read_text(encoding="utf-8")
    assert "APCER, print" in report and "3, with 1 person held out in each" in report
    assert "person-" not in (out / "report.html").read_text(encoding="utf-8").split('id="losses"')[0]
    facts = json.loads((out / "adapt.json").read_text(encoding="utf-8"))
    assert facts["presets"] == [preset.to_dict() for preset in model.presets]
    assert [line.split()[1] for line in text.splitlines() if line.startswith("preset ")] == [
        f"{preset.name}:" for preset in model.presets
    ]
    [told] = [line for line in text.splitlines() if line.startswith("note: ") and "preset" in line]
    assert told[6:] in report and told[6:] in card
    assert told[6:] in [note.text for note in balanced.threshold.origin.notes]
    assert told in facepad("model", "show", out / "model.facepad")[1]
    assert {"tiny", "tiny-tuned"} <= facts["candidates"].keys() | facts["left_out"].keys()
    for name, found in facts["candidates"].items():
        assert 0 <= found["fold_eer"] <= 1
        assert f"{100 * found['fold_eer']:5.2f} %" in next(
            line for line in text.splitlines() if line.endswith(f" {name}")
        )
    code, decided, _ = facepad("predict", site.parent / f"{Label.BONA_FIDE}-0-0.png", "--model", out / "model.facepad")
    assert "undecided (no_threshold)" not in decided
    code, _, messages = facepad("adapt", site, out)
    assert code == 2 and "finished adaptation" in messages


def test_thresholds_of_trained_candidates_and_their_fusions_allow_for_a_network_of_each_fold(
    home, monkeypatch, tmp_path
):
    tiny_model(home)
    own = {}

    def recorded(name, size, logits, choice, **options):
        own[name] = choice.trained
        return judge(name, size, logits, choice, **options)

    monkeypatch.setattr("facepad.workflow.adapt.job.judge", recorded)
    adapt(tiny_site(tmp_path / "site"), tmp_path / "out", SETTINGS)
    assert own["tiny"] == 0 and own["tiny-tuned"] == 1
    assert all(own[name] for name in own if "+" in name)


def test_threshold_that_is_no_probability_is_refused_before_any_work(tmp_path):
    site = tiny_site(tmp_path / "site")
    with pytest.raises(InputError, match="between 0 and 1, got 1.5"):
        adapt(site, tmp_path / "out", replace(SETTINGS, criterion="1.5"))
    assert not (tmp_path / "out").exists()


def test_chosen_candidate_is_listed_first(home, monkeypatch, tmp_path):
    tiny_model(home)

    def error(judged):
        return judged.fold_eer, judged.size

    monkeypatch.setattr("facepad.workflow.adapt.job.winner", lambda judged: max(judged, key=error))
    adapted = adapt(tiny_site(tmp_path / "site"), tmp_path / "out", SETTINGS)
    first, *others = adapted.judged
    assert first.name == adapted.winner.name and len(others) == 2
    seconds = adapted.seconds
    assert seconds["tiny+tiny-tuned"] >= seconds["tiny"] + seconds["tiny-tuned"]  # a fusion costs what its members cost
    assert others == sorted(others, key=error) and error(first) > error(others[-1])


def test_two_people_are_only_calibrated_and_the_model_says_so(home, fits, tmp_path):
    tiny_model(home)
    adapted = adapt(tiny_site(tmp_path / "site", people=2), tmp_path / "out", SETTINGS)
    assert fits.folders == []
    assert adapted.notes[0].startswith("calibrated only, not trained: 2 people are bona fide and 2 in attacks")
    described = read_bundle(tmp_path / "out" / "model.facepad").description
    assert described.threshold is not None
    for notes in (described.threshold.origin.notes, described.calibration.notes):
        assert any("calibrated only" in note.text for note in notes)


@pytest.mark.parametrize("only", ["tiny", "tiny-tuned"])
def test_model_finds_faces_with_the_detector_of_the_sites_boxes(home, tmp_path, only):
    tiny_model(home)
    own = home / "models" / "tiny.toml"
    own.write_text(own.read_text().replace("crop = 1.2", 'crop = 1.2\ndetector = "yunet"'), encoding="utf-8")
    site = tiny_site(tmp_path / "site")
    add_run(site.parent, {"detector": "dlib", "manifests": {site.name: {}}})
    adapted = adapt(site, tmp_path / "out", AdaptSettings(jobs=1, only=(only,)))
    assert [network.preprocess.detector for network in adapted.bundle.description.networks] == ["dlib"]


def test_minutes_leave_out_the_most_expensive_candidate(home, fits, tmp_path):
    tiny_model(home)
    settings = AdaptSettings(jobs=1, minutes=0.01)
    adapted = adapt(tiny_site(tmp_path / "site"), tmp_path / "out", settings)
    assert fits.folders == [] and adapted.winner.name == "tiny"
    assert "--minutes 0.01" in adapted.left_out["tiny-tuned"]
    assert "left out" not in adapted_words(adapted)  # the plan says it already


def test_slow_machine_leaves_out_what_no_longer_fits_and_the_terminal_says_so(home, fits, monkeypatch, tmp_path):
    tiny_model(home)
    site = tiny_site(tmp_path / "site", people=5, images=3)
    settings = AdaptSettings(jobs=1, minutes=60, only=("tiny", "tiny-tuned"))
    monkeypatch.setattr(Plan, "pace", lambda plan, measured: 1e6 if measured.keys() > {"tiny"} else 1.0)
    adapted = adapt(site, tmp_path / "out", settings)
    assert adapted.winner.trained
    assert "note: no time was left of --minutes 60 for 2 refits with fewer people" in adapted_words(adapted)
    assert "No time was left of --minutes 60 for" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    monkeypatch.setattr(Plan, "pace", lambda plan, measured: 1e6)
    adapted = adapt(site, tmp_path / "none", settings)
    assert adapted.left_out["tiny-tuned"] == "no time is left of --minutes 60"


def test_final_model_is_trained_on_all_people(home, fits, tmp_path):
    tiny_model(home)
    adapted = adapt(tiny_site(tmp_path / "site"), tmp_path / "out", AdaptSettings(jobs=1, only=("tiny-tuned",)))
    assert fits.folders.count("all") == 1
    fits = tmp_path / "out" / "work" / "tiny-tuned"
    whole, fold = (read_bundle(fits / name / "model.facepad") for name in ("all", "fold-0"))
    [network] = adapted.bundle.description.networks
    assert adapted.bundle.network_files(network) == whole.network_files(network) != fold.network_files(network)


def test_share_of_the_trained_weights_is_mixed_with_the_initial_weights(home, tmp_path):
    tiny_model(home)
    manifest = tiny_site(tmp_path / "site")
    trained = next(each for each in find_candidates("yunet", depth=False).candidates if each.training)
    assert trained.training.share == 0.75
    data, samples = FitData(manifest.parent, tmp_path / "features"), read_manifest(manifest)

    def weights(share):
        bundle = fit_candidate(replace(trained.training, share=share), data, samples, tmp_path / str(share))
        graph = onnx.load_from_string(bundle.files["tiny.onnx"]).graph
        return np.concatenate([numpy_helper.to_array(each).ravel() for each in graph.initializer])

    start, half, end = map(weights, (0.0, 0.5, 1.0))
    assert np.abs(end - start).max() > 1e-4
    assert half == pytest.approx((start + end) / 2, abs=1e-6)


def test_training_that_diverges_is_left_out(home, fits, tmp_path):
    tiny_model(home)
    fits.diverge = 2
    settings = AdaptSettings(jobs=1, only=("tiny", "tiny-tuned"))
    adapted = adapt(tiny_site(tmp_path / "site"), tmp_path / "out", settings)
    assert fits.folders == ["fold-0", "fold-1"] and adapted.winner.name == "tiny"
    assert "its weights are no longer finite" in adapted.left_out["tiny-tuned"]
    assert "left out: tiny-tuned: its training diverged" in adapted_words(adapted)


def test_winner_whose_final_training_diverges_is_replaced_by_the_next(home, fits, tmp_path):
    tiny_model(home)
    fits.diverge = 4  # after the three folds
    settings = AdaptSettings(jobs=1, only=("tiny-tuned",))
    with pytest.raises(InputError, match="no candidate could be judged"):
        adapt(tiny_site(tmp_path / "site"), tmp_path / "out", settings)
    assert fits.folders == ["fold-0", "fold-1", "fold-2", "all"]


def test_network_with_an_unknown_operation_is_named_and_left_out(home, fits, tmp_path):
    tiny_model(home, node="Erf")
    adapted = adapt(tiny_site(tmp_path / "site"), tmp_path / "out", SETTINGS)
    assert fits.folders == []
    assert "Erf" in adapted.left_out["tiny-tuned"]


def test_machine_without_a_network_is_told_the_command_that_helps(home, tmp_path):
    one_command = r"to adapt; facepad download minifasnet-v2se-celeba-spoof mobilenet_v2 yunet facemesh fetches some$"
    with pytest.raises(ModelError, match=one_command):
        adapt(tiny_site(tmp_path / "site"), tmp_path / "out", SETTINGS)
    assert not list(tmp_path.glob("out/*"))  # before the search for faces


def test_weights_that_only_training_needs_are_no_network_for_few_people(home, tmp_path):
    home.mkdir()
    (home / TRUNKS["mobilenet_v2"].name).touch()
    require_networks(train=True)
    with pytest.raises(ModelError, match="to adapt; facepad download public-trio yunet fetches some"):
        adapt(tiny_site(tmp_path / "site", people=2), tmp_path / "out", SETTINGS)
    assert not list(tmp_path.glob("out/*"))


def test_folder_with_other_files_and_other_settings_are_refused(home, tmp_path):
    tiny_model(home)
    site, out = tiny_site(tmp_path / "site", people=2), tmp_path / "out"
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").touch()
    with pytest.raises(OutputExistsError, match="not empty"):
        adapt(site, other, SETTINGS)
    adapt(site, out, SETTINGS)
    (out / "model.facepad").unlink()
    with pytest.raises(InputError, match="begun with another seed"):
        adapt(site, out, AdaptSettings(jobs=1, seed=1))
    begun = json.loads((out / "begun.json").read_text())
    (out / "begun.json").write_text(json.dumps({**begun, "fits": begun["fits"] - 1}))
    with pytest.raises(InputError, match="begun by an older or newer version of facepad"):
        adapt(site, out, SETTINGS)


def test_second_process_in_the_same_folder_is_refused(home, tmp_path):
    tiny_model(home)
    site, out = tiny_site(tmp_path / "site", people=2), tmp_path / "out"
    with exclusive(out, "adapting"), pytest.raises(InputError, match="adapting"):
        adapt(site, out, SETTINGS)


def test_machine_without_pytorch_is_told_the_extra(home, monkeypatch, tmp_path):
    tiny_model(home)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError, match=r"pip install 'facepad\[train\]'"):
        adapt(tiny_site(tmp_path / "site"), tmp_path / "out", SETTINGS)
    assert not list(tmp_path.glob("out/*"))  # before any work


def test_groups_of_people_are_measured_by_the_out_of_fold_decisions(home, fits, facepad, tmp_path):
    tiny_model(home)
    site, out = tiny_site(tmp_path / "site", people=10, images=2), tmp_path / "out"
    samples = read_manifest(site)
    code, _, err = facepad("adapt", site, out, "--by", "gender")
    assert (code, err.count("\n")) == (2, 1) and "no column 'gender', and no attribute" in err
    assert not out.exists()
    write_manifest(site, [replace(s, attributes=(("gender", "fm"[int(s.subject[-1]) % 2]),)) for s in samples])
    code, text, err = facepad("adapt", site, out, "--jobs", 1, "--by", "gender")
    assert code == 0, err
    found = json.loads((out / "adapt.json").read_text())["out_of_fold"]
    groups = found["groups"]["groups"]
    assert [(each["values"]["gender"], each["units"]) for each in groups] == [("f", 5), ("m", 5)]
    both = sum(each["bpcer"]["value"] * each["bpcer"]["n"] for each in groups)
    assert both == pytest.approx(found["bpcer"]["value"] * found["bpcer"]["n"]), "the same decisions as all rates"
    for place in (text, (out / "report.md").read_text(), (out / "report.html").read_text()):
        assert "Largest gap of BPCER" in place and "out of fold" in place.replace("-", " ")


def test_requirements_on_a_video_of_both_classes_are_refused_before_any_fit(home, fits, tmp_path):
    tiny_model(home)
    site = tiny_site(tmp_path / "site", people=2, images=2)
    write_manifest(site, [replace(sample, video=f"clip of {sample.subject}") for sample in read_manifest(site)])
    settings = AdaptSettings(jobs=1, requirements=read_requirements(["apcer=0.07"]))
    with pytest.raises(ScoresError, match="expected one kind of presentation in a video"):
        adapt(site, tmp_path / "out", settings)
    assert not fits.folders and not (tmp_path / "out" / "work").exists()
