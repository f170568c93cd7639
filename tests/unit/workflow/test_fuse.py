"""Fused models: the sum of what their members say, with weights and threshold from dev."""

import os
from dataclasses import replace

import numpy as np
import pytest

from facepad.datasets.manifest import manifest_hash, manifest_words, read_manifest, write_manifest
from facepad.errors import InputError, MetricError
from facepad.media.images import read_image
from facepad.metrics import Resampling, choose_threshold, joined
from facepad.modelfile.bundle import (
    Bundle,
    Calibration,
    Description,
    InputFormat,
    Network,
    OutputFormat,
    read_bundle,
    write_bundle,
)
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers import BundleScorer
from facepad.types import Label, Split
from facepad.workflow.fuse import fuse_models
from facepad.workflow.overlap import origin_notes
from facepad.workflow.scoring import score_samples


@pytest.fixture()
def model(linear_graph):
    """Make a model of one network, a logit from the channels' means."""

    def make(name, weights, *, size=16, scale=1.0, calibration=None, weight=1.0, license="MIT", scope=""):
        network = Network(
            name="linear",
            files=("net.onnx",),
            preprocess=PreprocessSpec(crop_scale=scale, size=(size, size)),
            input=InputFormat(layout="nchw", dtype="float32", scale=1 / 255),
            output=OutputFormat(name="output"),
            weight=weight,
        )
        description = Description(
            name=name,
            networks=(network,),
            calibration=calibration or Calibration(),
            license=license,
            scope=scope,
            source=f"made for {name}",
        )
        return Bundle(description, {"net.onnx": linear_graph([[w] for w in weights], size=size), "LICENSE": b"text"})

    return make


@pytest.fixture()
def members(model):
    platt = Calibration(method="platt", slope=2.0, offset=-1.0, source="other.csv")
    return [
        model("bright", [9, 9, 9], calibration=platt, weight=0.5, scope="Photos."),
        model("wide", [4, -2, 3], size=24, scale=1.4, license="Apache-2.0"),
    ]


def logits_of(bundle, manifest, samples):
    scorer = BundleScorer(bundle)
    return scorer.score([scorer.prepare(read_image(manifest.parent / s.path), s.box) for s in samples])


def calibrated(bundle, manifest, samples):
    calibration = bundle.description.calibration
    return calibration.slope * logits_of(bundle, manifest, samples).logits + calibration.offset


def dev(manifest):
    return [sample for sample in read_manifest(manifest) if sample.split is Split.DEV]


def test_mean_logit_is_the_mean_of_the_members_calibrated_logits(members, tiny_manifest, tmp_path):
    fused = fuse_models(members, tiny_manifest, name="both").bundle
    fused = read_bundle(write_bundle(tmp_path / "both.facepad", fused))
    samples = dev(tiny_manifest)
    expected = np.mean([calibrated(member, tiny_manifest, samples) for member in members], axis=0)
    assert calibrated(fused, tiny_manifest, samples) == pytest.approx(expected, abs=1e-4)
    scores = logits_of(fused, tiny_manifest, samples).values
    assert scores == pytest.approx(1 / (1 + np.exp(-expected)), abs=1e-5)
    assert {spec.size for spec in BundleScorer(fused).preprocess} == {(16, 16), (24, 24)}


def test_a_fused_model_says_what_it_is_made_of(members, tiny_manifest):
    description = fuse_models(members, tiny_manifest, name="both").bundle.description
    assert description.license == "MIT AND Apache-2.0" and description.scope == "Photos."
    assert description.source == "fused from bright, wide"
    assert [member["weight"] for member in description.facts["members"]] == [0.5, 0.5]
    assert description.calibration.method == "platt" and description.calibration.source == "other.csv"
    assert description.calibration.offset == -0.5


def test_different_scopes_name_the_members_that_they_apply_to(model, tiny_manifest):
    scopes = {"a": "Photos.", "b": "One site; prints.", "c": "Photos."}
    parts = [model(name, [9, 9, 9], scope=scope) for name, scope in scopes.items()]
    assert fuse_models(parts, tiny_manifest).bundle.description.scope == "a, c: Photos; b: One site; prints."


def test_members_without_calibration_fuse_to_a_model_without(model, tiny_manifest):
    fused = fuse_models([model("a", [1, 2, 3]), model("b", [3, 2, 1])], tiny_manifest).bundle
    assert fused.description.calibration == Calibration()
    assert sorted(fused.files) == ["1-LICENSE", "1-net.onnx", "2-LICENSE", "2-net.onnx"]


@pytest.mark.parametrize("method", ["mean-logit", "logistic"])
def test_the_threshold_is_the_one_that_the_fused_models_own_scores_choose(members, tiny_manifest, method):
    fused = fuse_models(members, tiny_manifest, method=method, criterion="min-hter").bundle
    records = score_samples(BundleScorer(fused), tiny_manifest.parent, dev(tiny_manifest)).records
    own = choose_threshold(records, "min-hter", source="x", resampling=Resampling(None, 100))
    threshold = fused.description.threshold
    assert threshold.value == pytest.approx(own.value, abs=1e-6) and threshold.criterion == "min-hter"
    assert (threshold.origin.split, threshold.origin.source) == (Split.DEV, manifest_words(tiny_manifest))
    assert ("learnt on the same records" in joined(threshold.origin.notes)) == (method == "logistic")


def test_logistic_weighs_the_member_that_knows(model, tiny_manifest):
    """Brightness tells the classes apart, the difference of two channels does not."""
    knows, guesses = model("knows", [5, 5, 5]), model("guesses", [40, -40, 0])
    fused = fuse_models([guesses, knows], tiny_manifest, method="logistic").bundle
    weights = {member["name"]: member["weight"] for member in fused.description.facts["members"]}
    samples = dev(tiny_manifest)
    spread = {m.description.name: np.std(calibrated(m, tiny_manifest, samples)) for m in (knows, guesses)}
    assert weights["knows"] * spread["knows"] > 3 * abs(weights["guesses"] * spread["guesses"])
    assert fused.description.calibration.source == manifest_words(tiny_manifest)
    scores = logits_of(fused, tiny_manifest, samples).values
    bona_fide = np.array([sample.label is Label.BONA_FIDE for sample in samples])
    assert ((scores > 0.5) == bona_fide).mean() > 0.9


def test_logistic_counts_both_classes_alike(model, tiny_manifest, tmp_path):
    """Without it, leaving out bona fide samples would lower every score."""
    members = [model("a", [1, 1, 1]), model("b", [0, 1, 0])]
    samples = dev(tiny_manifest)
    bona_fide = [sample for sample in samples if sample.label is Label.BONA_FIDE]
    doubled = tiny_manifest.parent / "doubled.csv"
    again = [sample for sample in samples if sample.label is Label.ATTACK]
    fewer = bona_fide[:4]
    write_manifest(doubled, [*again, *fewer])
    try:
        fused = fuse_models(members, doubled, method="logistic").bundle
        scores = logits_of(fused, tiny_manifest, [*again, *fewer]).values
    finally:
        doubled.unlink()
    attack, genuine = scores[: len(again)], scores[len(again) :]
    assert (attack.mean() + genuine.mean()) / 2 == pytest.approx(0.5, abs=0.02)


def test_members_keep_where_they_were_trained_however_deep(members, tiny_manifest):
    known = {"manifest": "manifest.csv", "manifest_sha256": manifest_hash(tiny_manifest)}
    foreign = {"manifest": "else.csv", "manifest_sha256": "0" * 64}

    def of(member, facts):
        return Bundle(member.description.model_copy(update={"facts": facts}), member.files)

    for facts, said in ((known, []), (foreign, ["else.csv"])):
        fused = fuse_models([of(members[0], known), of(members[1], facts)], tiny_manifest).bundle
        deeper = fuse_models([fused, members[0]], tiny_manifest).bundle
        for each in (fused, deeper):
            notes = origin_notes(tiny_manifest, each.description.facts)
            assert [name in note for name, note in zip(said, notes, strict=True)] == [True] * len(said)


def test_a_manifest_without_splits_is_all_dev_and_unreadable_images_are_told(members, tiny_manifest, tmp_path):
    way = os.path.relpath(tiny_manifest.parent, tmp_path)
    samples = [replace(s, split=None, path=f"{way}/{s.path}") for s in read_manifest(tiny_manifest)]
    samples[0] = replace(samples[0], path="absent.png")
    write_manifest(tmp_path / "manifest.csv", samples)
    fused = fuse_models(members, tmp_path / "manifest.csv")
    origin = fused.bundle.description.threshold.origin
    assert (origin.n_bona_fide, origin.n_attack, list(fused.unreadable)) == (35, 36, ["absent.png"])
    assert [preset.name for preset in fused.bundle.description.presets] == ["strict", "balanced", "lenient"]


def test_one_model_is_not_fused(members, tiny_manifest):
    with pytest.raises(InputError, match="at least two models, got 1"):
        fuse_models(members[:1], tiny_manifest)


def test_unknown_method_or_criterion_is_refused_before_scoring(members, tiny_manifest):
    with pytest.raises(InputError, match="unknown fusion method 'mean-logits' .did you mean 'mean-logit'"):
        fuse_models(members, tiny_manifest, method="mean-logits")
    with pytest.raises(MetricError, match="unknown criterion"):
        fuse_models(members, tiny_manifest, criterion="err")


def test_dev_needs_both_classes(members, tiny_manifest, tmp_path):
    path = tmp_path / "manifest.csv"
    for kept, message in (
        ([s for s in read_manifest(tiny_manifest) if s.split is not Split.DEV], "got 0 bona fide and 0 attack"),
        ([s for s in dev(tiny_manifest) if s.label is Label.ATTACK], "got 0 bona fide and 12 attack"),
    ):
        write_manifest(path, kept)
        with pytest.raises(InputError, match=f"both classes in .*manifest.csv.*, {message}"):
            fuse_models(members, path)
    write_manifest(path, dev(tiny_manifest))  # beside no images
    with pytest.raises(InputError, match=r"not one image can be used \(24, first: "):
        fuse_models(members, path)
