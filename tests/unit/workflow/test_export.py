"""facepad export: what a model file holds, that its decisions are the network's, and when nothing is written."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from facepad.datasets.manifest import read_manifest, resolve
from facepad.errors import InputError, RunError
from facepad.export import parity as parity_module
from facepad.export.parity import Scored, compare_variants, write_parity
from facepad.files.disk import sha256_file
from facepad.media.images import read_image
from facepad.metrics import fixed_threshold, joined
from facepad.modelfile.bundle import CARD, Bundle, read_bundle
from facepad.modelfile.catalog import find_model
from facepad.modelfile.run_folder import DESCRIPTION_FILE, WEIGHTS_FILE
from facepad.modelfile.runs import TrainedModel, load_trained
from facepad.modelfile.scorers import BundleScorer
from facepad.modelfile.scorers.run_scorer import EagerScorer
from facepad.models import create_model
from facepad.types import AttackType, Label, ScoreRecord, ScoreStatus, Split
from facepad.workflow import export as module
from facepad.workflow import quantisation
from facepad.workflow.export import ExportOptions, export_run
from helpers.patience import PATIENCE


def crops_of(scorer, manifest):
    return [
        scorer.prepare(read_image(resolve(manifest, sample)), sample.box)
        for sample in read_manifest(manifest)
        if sample.split is Split.TEST
    ]


def test_a_run_becomes_a_model_file_that_decides_like_it(tiny_run, noisy_manifest, tmp_path, facepad):
    (tmp_path / "card.md").write_text("# Tiny\n")
    words = ["--name", "tiny", "--license", "Apache-2.0", "--scope", "for tests", "--card", tmp_path / "card.md"]
    code, out, err = facepad("export", tiny_run, tmp_path / "a.facepad", *words)
    assert code == 0, err
    assert "calibration: platt" in out and "by eer on" in out and "0 decisions changed" in out
    bundle = read_bundle(tmp_path / "a.facepad")
    description = bundle.description
    assert (description.name, description.license, description.scope) == ("tiny", "Apache-2.0", "for tests")
    assert description.threshold.origin.split is Split.DEV
    assert description.calibration.method == "platt"
    assert description.facts["manifest_sha256"] and description.facts["exported_with"]["onnx"]
    assert bundle.files[CARD] == b"# Tiny\n"
    for name in (WEIGHTS_FILE, DESCRIPTION_FILE):
        assert description.parts[name] == sha256_file(tiny_run / name)
    scorers = BundleScorer(bundle), EagerScorer(load_trained(tiny_run), description.calibration)
    batch = crops_of(scorers[0], noisy_manifest)
    first, second = (scorer.score(batch) for scorer in scorers)
    assert first.values == pytest.approx(second.values, abs=1e-4)
    assert np.ptp(first.logits) > 0.5, "a network that says the same of all images would pass any test"
    report = json.loads((tmp_path / "a.facepad.parity.json").read_text())
    names = [variant["name"] for variant in report["variants"]]
    assert names == ["PyTorch", "ONNX Runtime", *(["OpenVINO"] if "openvino" in sys.modules else [])]
    assert report["failures"] == [] and report["forced"] is False
    assert set(report["variants"][1]["metrics"]["instruments"]) == {"print", "replay_photo"}
    assert "test split" in report["data"]
    assert "| ONNX Runtime |" in (tmp_path / "a.facepad.parity.md").read_text()


def test_a_name_of_onnx_gets_plain_onnx(tiny_run, tmp_path, facepad):
    code, _, err = facepad("export", tiny_run, tmp_path / "a.onnx", "--license", "MIT")
    assert code == 0, err
    assert f"written: {tmp_path / 'a.onnx'}\n" in err and (tmp_path / "a.onnx.parity.json").exists()
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    document = json.loads(session.get_modelmeta().custom_metadata_map["facepad"])
    assert document["license"] == "MIT" and document["threshold"]["origin"]["split"] == "dev"
    assert document["networks"][0]["crop"]["scale"] == 1.5 and len(session.get_inputs()) == 1
    with pytest.raises(InputError, match="is the name of an ONNX file, which cannot hold --format openvino"):
        export_run(tiny_run, tmp_path / "b.onnx", ExportOptions("openvino"))


def test_without_its_manifest_a_run_is_exported_without_threshold(tiny_run, noisy_manifest, tmp_path, facepad):
    run = tmp_path / "run"
    for number, (change, words) in enumerate(
        (
            ({"manifest": str(tmp_path / "gone.csv")}, "is not at"),
            ({"manifest_sha256": "0" * 64}, "was changed after the training"),
        )
    ):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(tiny_run, run)
        environment = json.loads((run / "environment.json").read_text())
        (run / "environment.json").write_text(json.dumps(environment | change))
        out = tmp_path / f"{number}.facepad"
        code, text, err = facepad("export", run, out)
        assert code == 0, err
        assert words in text and len(text.splitlines()) == 1
        assert read_bundle(out).description.threshold is None
        assert not out.with_name(f"{out.name}.parity.json").exists()
    code, text, err = facepad("export", run, tmp_path / "named.facepad", "--manifest", noisy_manifest)
    assert code == 0, err
    assert read_bundle(tmp_path / "named.facepad").description.threshold is not None


def test_int8_is_not_written_unmeasured(tiny_run, noisy_manifest, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    environment = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps(environment | {"manifest": str(tmp_path / "gone.csv")}))
    with pytest.raises(InputError, match="8 bits are not written without a measured parity: .*name another manifest"):
        export_run(run, tmp_path / "a.facepad", ExportOptions(quantise_on=noisy_manifest))
    assert not (tmp_path / "a.facepad").exists()
    assert export_run(run, tmp_path / "a.facepad", ExportOptions(quantise_on=noisy_manifest, force=True)).parity is None


def test_the_threshold_may_stay_out(tiny_run, tmp_path):
    done = export_run(tiny_run, tmp_path / "a.facepad", ExportOptions(threshold=False))
    assert done.parity is not None
    description = read_bundle(tmp_path / "a.facepad").description
    assert (description.threshold, description.calibration.method) == (None, "platt")
    assert "the model file has none" in description.facts["parity"]["notes"][0]
    assert "the model file has none" in (tmp_path / "a.facepad.parity.md").read_text()


def test_images_that_training_used_are_named(tiny_run, manifest_like, tmp_path, facepad):
    turned = {Split.TRAIN: Split.TEST, Split.TEST: Split.TRAIN, Split.DEV: Split.DEV}
    manifests = []
    for name, change in (
        ("plain", lambda sample: replace(sample, split=None)),
        ("turned", lambda sample: replace(sample, split=turned[sample.split])),
    ):
        (tmp_path / name).mkdir()
        manifests.append(manifest_like(tmp_path / name, change))
    done = export_run(tiny_run, tmp_path / "a.facepad", ExportOptions(force=True), manifest=manifests[0])
    [line] = done.warnings
    assert "24 of 72 dev images were used in training" in line
    assert line in joined(read_bundle(tmp_path / "a.facepad").description.threshold.origin.notes)
    _, said, err = facepad("export", tiny_run, tmp_path / "c.facepad", "--manifest", manifests[0], "--force")
    assert (said + err).count("24 of 72 dev images were used in training") == 1
    code, _, err = facepad("export", tiny_run, tmp_path / "b.facepad", "--manifest", manifests[1])
    assert code == 0
    assert "note: 24 of 24 test images were used in training" in err
    assert "24 of 24 test images were used in training" in (tmp_path / "b.facepad.parity.md").read_text()


def test_int8_is_smaller_and_close(tiny_run, noisy_manifest, tmp_path):
    done = export_run(tiny_run, tmp_path / "a.facepad", ExportOptions(quantise_on=noisy_manifest, force=True))
    bundle, plain = read_bundle(tmp_path / "a.facepad"), find_model(tiny_run).read()
    assert bundle.description.networks[0].precision == "int8"
    assert len(bundle.files["network.onnx"]) < 0.5 * len(plain.files["network.onnx"])
    batch = crops_of(BundleScorer(plain), noisy_manifest)
    ours, theirs = (BundleScorer(each).score(batch).logits for each in (bundle, plain))
    assert np.abs(ours - theirs).max() > 0
    assert np.corrcoef(ours, theirs)[0, 1] > 0.7  # a random trunk has no margins; of a broken graph it would be 0
    assert [variant.precision for variant in done.parity.variants][-1] == "int8"


def test_int8_keeps_the_depth_map(noisy_manifest, make_run, tmp_path):
    from facepad.export.int8 import quantize

    run = make_run(tmp_path / "run", noisy_manifest, "attention_fusion", {"deep_tap": 13})
    plain = find_model(run).read()
    batch = crops_of(BundleScorer(plain), noisy_manifest)
    pixels = np.stack([crop for (crop,) in batch])
    graphs = [quantize(plain.files["network.onnx"], [pixels]) for _ in range(2)]
    assert graphs[0] == graphs[1], "the same network and images make the same graph"
    quantised = Bundle(plain.description, {"network.onnx": graphs[0]})
    ours, theirs = (BundleScorer(each).score(batch) for each in (quantised, plain))
    assert ours.depth.shape == theirs.depth.shape == (24, 32, 32)
    assert 0 < np.abs(ours.depth - theirs.depth).max() < 0.2
    assert np.corrcoef(ours.logits, theirs.logits)[0, 1] > 0.9


@pytest.mark.parametrize("quantised", [False, True])
def test_openvino_format(tiny_run, noisy_manifest, tmp_path, quantised):
    pytest.importorskip("openvino")
    options = ExportOptions("openvino", noisy_manifest if quantised else None, force=quantised)
    done = export_run(tiny_run, tmp_path / "a.facepad", options)
    bundle = read_bundle(tmp_path / "a.facepad")
    [network] = bundle.description.networks
    assert network.files == ("network.xml", "network.bin")
    plain = find_model(tiny_run).read()
    batch = crops_of(BundleScorer(plain), noisy_manifest)
    ours, theirs = (BundleScorer(each).score(batch).logits for each in (bundle, plain))
    if quantised:
        assert done.parity.variants[-1].name == "OpenVINO, int8"
        assert np.corrcoef(ours, theirs)[0, 1] > 0.7
    else:
        assert ours == pytest.approx(theirs, abs=1e-3)


SIGNAL_AFTER_TWO_NETWORKS = """
import signal, sys
from pathlib import Path
from facepad.runtime.inference import OpenVinoNetwork

graph = Path(sys.argv[1]).read_bytes()
first, second = OpenVinoNetwork(graph), OpenVinoNetwork(graph)
del first, second
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
signal.raise_signal(signal.SIGTERM)
"""


def test_signals_are_handled_after_openvino_networks_are_dropped(tiny_run, tmp_path):
    pytest.importorskip("openvino")
    (tmp_path / "network.onnx").write_bytes(find_model(tiny_run).read().files["network.onnx"])
    command = [sys.executable, "-c", SIGNAL_AFTER_TWO_NETWORKS, tmp_path / "network.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


def test_without_openvino_its_format_is_one_line_and_parity_does_without(tiny_run, tmp_path, monkeypatch, facepad):
    monkeypatch.setitem(sys.modules, "openvino", None)
    code, _, err = facepad("export", tiny_run, tmp_path / "a.facepad", "--format", "openvino")
    assert (code, "pip install 'facepad[openvino]'" in err, len(err.splitlines())) == (2, True, 1)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    done = export_run(tiny_run, tmp_path / "b.facepad")
    assert [variant.name for variant in done.parity.variants] == ["PyTorch", "ONNX Runtime"]


def test_a_graph_that_scores_otherwise_is_not_written(tiny_run, tmp_path, monkeypatch, facepad):
    broken = create_model("mobilenet_v2", weights="none", width=0.25).eval()
    trained = load_trained(tiny_run)
    wrong = TrainedModel(broken, trained.architecture, trained.options, trained.preprocess, trained.facts)
    real = module.EagerScorer
    monkeypatch.setattr(module, "EagerScorer", lambda _, calibration: real(wrong, calibration))
    code, _, err = facepad("export", tiny_run, tmp_path / "a.facepad")
    assert code == 1
    assert "ONNX Runtime: a score differs by" in err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
    code, _, err = facepad("export", tiny_run, tmp_path / "a.facepad", "--force")
    assert code == 0, err
    assert "written but" not in err
    assert json.loads((tmp_path / "a.facepad.parity.json").read_text())["forced"] is True
    assert "**Failed, but written anyway (--force):**" in (tmp_path / "a.facepad.parity.md").read_text()
    assert read_bundle(tmp_path / "a.facepad").description.facts["parity"]["failures"]


def record(number, label, kind, score, status=ScoreStatus.SCORED):
    return ScoreRecord(f"{number}.png", f"s{number}", None, None, label, kind, Split.TEST, status, score)


def test_a_worse_network_fails_though_its_own_threshold_hides_it():
    """Two attacks above all bona fide: EER knows; with a threshold above them ACER is better than before."""

    def of(name, precision, bona_fide, attacks):
        records = [record(n, Label.BONA_FIDE, None, score) for n, score in enumerate(bona_fide)]
        records += [record(900 + n, Label.ATTACK, AttackType.PRINT, score) for n, score in enumerate(attacks)]
        return Scored(name, precision, fixed_threshold(0.5), records)

    before = of("PyTorch", "fp32", [0.4] * 20 + [0.9] * 80, [0.1] * 100)  # ACER 10 %, EER 0
    now = of("int8", "int8", [0.9] * 95 + [0.1] * 5, [0.0] * 95 + [0.2] * 5)  # ACER 2.5 %, EER 5 %
    assert [line.split(",")[0] for line in compare_variants("data", [before, now]).failures] == [
        "int8: EER is 5.00 points higher"
    ]


def test_the_difference_is_of_networks_and_the_decisions_are_of_own_calibrations():
    reference, own = scored("PyTorch", "fp32", [0.1] * 60), scored("int8", "int8", [0.4] * 59 + [0.6])
    found = compare_variants("data", [reference, replace(own, compared=reference.records)], ["a remark"])
    assert (found.variants[1].difference, len(found.variants[1].changed)) == (0, 1)
    assert found.facts()["notes"] == found.to_dict()["notes"] == ["a remark"]


def scored(name, precision, attack_scores, missing=False):
    bona_fide = [record(n, Label.BONA_FIDE, None, 0.9) for n in range(40)]
    attacks = [record(100 + n, Label.ATTACK, AttackType.PRINT, score) for n, score in enumerate(attack_scores)]
    none = [replace(bona_fide[0], path="none.png", status=ScoreStatus.NO_FACE, score=None)] if missing else []
    return Scored(name, precision, fixed_threshold(0.5), [*bona_fide, *attacks, *none])


def test_parity_counts_differences_and_changed_decisions():
    reference = scored("PyTorch", "fp32", [0.1] * 60, missing=True)
    other = scored("ONNX Runtime", "fp32", [0.1] * 58 + [0.49, 0.7], missing=True)
    found = compare_variants("data", [reference, other])
    assert found.variants[1].difference == pytest.approx(0.6)
    assert [changed.record.path for changed in found.variants[1].changed] == ["159.png"]
    assert found.failures == ["ONNX Runtime: a score differs by 0.6, more than 0.0001"]


@pytest.mark.parametrize(
    ("accepted_before", "accepted_now", "failures"),
    [
        (0, 0, []),
        (5, 0, []),  # better is no failure
        (0, 3, []),
        (0, 4, ["APCER of print is 0.40"]),  # ACER is exactly 0.2 points higher
        (0, 5, ["ACER is 0.25 points higher", "APCER of print is 0.50"]),
        (100, 105, ["ACER is 0.25 points higher"]),  # within the interval of APCER
    ],
)
def test_int8_fails_by_acer_and_by_instrument(accepted_before, accepted_now, failures):
    before, now = ([0.7] * n + [0.1] * (1000 - n) for n in (accepted_before, accepted_now))
    found = compare_variants("data", [scored("PyTorch", "fp32", before), scored("int8", "int8", now)])
    assert len(found.failures) == len(failures), found.failures
    for line, words in zip(found.failures, failures, strict=True):
        assert words in line


def test_parity_page_lists_every_changed_decision(tmp_path):
    found = compare_variants(
        "data", [scored("PyTorch", "fp32", [0.1] * 9), scored("ONNX Runtime, int8", "int8", [0.1] * 6 + [0.7] * 3)]
    )
    _, page = write_parity(tmp_path / "a.facepad", found, forced=True)
    text = page.read_text()
    assert [f"| {100 + n}.png | print | 0.100000 | 0.700000 |" in text for n in range(9)] == [False] * 6 + [True] * 3
    assert "| print |" in text


def test_parity_files_of_names_with_dots_are_kept_apart(tmp_path):
    found = compare_variants("data", [scored("PyTorch", "fp32", [0.1] * 9)])
    written = [file for name in ("a.v1", "a.v2") for file in write_parity(tmp_path / name, found, forced=False)]
    assert [file.name for file in written] == [f"a.v{n}.parity.{end}" for n in (1, 2) for end in ("json", "md")]


def test_int8_that_decides_worse_is_not_written(tiny_run, noisy_manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(parity_module, "RATE_LIMIT", -1.0)
    with pytest.raises(RunError, match="not exported: .*int8: ACER"):
        export_run(tiny_run, tmp_path / "a", ExportOptions(quantise_on=noisy_manifest))
    assert list(tmp_path.iterdir()) == []


def test_int8_that_knows_nothing_any_more_is_not_written(tiny_run, noisy_manifest, tmp_path, monkeypatch):
    upside_down = {"weight": -1.0, "precision": "int8"}

    def broken(bundle, crops):
        network = bundle.description.networks[0].model_copy(update=upside_down)
        return Bundle(bundle.description.model_copy(update={"networks": (network,)}), bundle.files)

    monkeypatch.setattr(module, "quantised", broken)
    with pytest.raises(RunError, match="8 bits cannot be calibrated: the logits do not rise"):
        export_run(tiny_run, tmp_path / "a", ExportOptions(quantise_on=noisy_manifest, force=True))
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_without_test_measures_parity_on_dev(tiny_run, manifest_like, tmp_path):
    manifest = manifest_like(tmp_path, lambda sample: None if sample.split is Split.TEST else sample)
    done = export_run(tiny_run, tmp_path / "a.facepad", manifest=manifest)
    assert "the test split lacks a class" in done.parity.data


def test_bad_input_is_one_line_and_nothing_is_written(tiny_run, noisy_manifest, manifest_like, tmp_path, facepad):
    folder = tmp_path / "data"
    folder.mkdir()
    no_train = manifest_like(folder, lambda sample: None if sample.split is Split.TRAIN else sample)
    one_class = tmp_path / "one"
    one_class.mkdir()
    attacks = manifest_like(one_class, lambda sample: sample if sample.label is Label.ATTACK else None)
    unfinished = shutil.copytree(tiny_run, tmp_path / "unfinished")
    (unfinished / "model.json").unlink()
    (tmp_path / "there.facepad").write_bytes(b"?")
    out = tmp_path / "new.facepad"
    before = sorted(tmp_path.iterdir())
    for words, message in (
        ([unfinished, out], "its training is not finished"),
        ([tmp_path / "data", out], "not a run folder"),
        ([tiny_run, tmp_path / "there.facepad"], "exists already"),
        ([tiny_run, out, "--quantize", "int8"], "--calibration MANIFEST"),
        ([tiny_run, out, "--calibration", noisy_manifest], "--quantize int8"),
        ([tiny_run, out, "--quantize", "int8", "--calibration", tmp_path / "no.csv"], "cannot read manifest"),
        ([tiny_run, out, "--quantize", "int8", "--calibration", no_train], "no usable images in split 'train'"),
        ([tiny_run, out, "--manifest", attacks], "got 0 bona fide and 12 attack"),
        ([tiny_run, out, "--quantize", "int4"], "int4"),
        ([tiny_run, out, "--card", tmp_path / "no.md"], "cannot read"),
    ):
        code, text, err = facepad("export", *words)
        assert (code, text, len(err.strip().splitlines())) == (2, "", 1), (words, err)
        assert message in err
    assert sorted(tmp_path.iterdir()) == before


def test_quantisation_images_are_spread_over_kinds(tiny_run, noisy_manifest, monkeypatch):
    seen = []
    real = quantisation.read_with_box
    monkeypatch.setattr(quantisation, "read_with_box", lambda path, s: seen.append(path.name) or real(path, s))
    images = quantisation.quantisation_images(noisy_manifest, load_trained(tiny_run).preprocess, limit=9)
    kinds = {resolve(noisy_manifest, s).name: s.attack_type or s.label for s in read_manifest(noisy_manifest)}
    counts = [list(map(kinds.get, seen)).count(kind) for kind in set(kinds.values())]
    assert (len(images.crops), counts, images.unreadable) == (9, [3, 3, 3], {})
    assert images.crops[0].shape == (32, 32, 3)


def test_unreadable_quantisation_images_are_reported(tiny_run, manifest_like, tmp_path):
    gone = []

    def change(sample):
        if sample.split is Split.TRAIN and not gone:
            gone.append("absent.png")
            return replace(sample, path="absent.png")
        return sample

    spec = load_trained(tiny_run).preprocess
    images = quantisation.quantisation_images(manifest_like(tmp_path, change), spec)
    assert (len(images.crops), list(images.unreadable)) == (23, gone)
