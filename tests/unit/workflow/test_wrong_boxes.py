"""Boxes that do not fit their images: each command lists them, one row does not end the work, and all rows do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from facepad.datasets.check import check
from facepad.datasets.manifest import read_manifest
from facepad.datasets.pack import pack
from facepad.datasets.prepare import prepare
from facepad.depth import make_depth
from facepad.errors import DatasetError, ManifestError
from facepad.faces import scale_box
from facepad.modelfile.catalog import find_model
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers import BundleScorer
from facepad.training.crops.source import CropSource
from facepad.types import Box, ScoreStatus
from facepad.workflow.calibrate import calibrate_bundle
from facepad.workflow.quantisation import quantisation_images
from facepad.workflow.scoring import EvaluationOptions, evaluate_samples

ONE = "02.png"


def one_huge(sample):
    return replace(sample, box=scale_box(sample.box, 1e7)) if sample.path.endswith(ONE) else sample


def times(factor):
    return lambda sample: replace(sample, box=Box(*(factor * corner for corner in sample.box.xyxy)))


@pytest.fixture
def huge(manifest_like, tmp_path) -> Path:
    """A manifest with one box of 400 million pixels in line 4, of a test image."""
    (tmp_path / "huge").mkdir()
    return manifest_like(tmp_path / "huge", one_huge)


@pytest.fixture(params=[10, 2], ids=["ten-times", "of-images-twice-as-large"])
def scaled(request, manifest_like, tmp_path) -> Path:
    (tmp_path / "scaled").mkdir()
    return manifest_like(tmp_path / "scaled", times(request.param))


def evaluate(bundle, manifest, out):
    """Evaluate without a report, which takes most of the time."""
    out.mkdir()
    options = EvaluationOptions(0.5, probes=False)
    return evaluate_samples(BundleScorer(bundle), manifest.parent, read_manifest(manifest), out, options)


@pytest.fixture(scope="module")
def bundle(tiny_run):
    return find_model(tiny_run).read()


def test_check_lists_each_box_that_does_not_fit_with_its_line(huge):
    found = check(huge, jobs=1)
    [(path, reason)] = found.wrong_boxes
    assert path.endswith(ONE)
    assert reason.endswith("outside the image of 64x64 pixels (manifest.csv:4)")
    assert any(line.startswith("boxes that do not fit their image: 1 (first: ") for line in found.problems)
    assert not any("another size" in line for line in found.problems)


def test_check_finds_boxes_of_images_of_another_size(scaled):
    found = check(scaled, jobs=1)
    assert len(found.wrong_boxes) == found.cut_boxes == 72
    assert any("boxes that lie more than 20% outside their image: 72" in line for line in found.problems)


def test_check_finds_boxes_of_another_size_that_are_half_inside(manifest_like, tmp_path):
    found = check(manifest_like(tmp_path, times(1.5)), jobs=1)
    assert (found.wrong_boxes, found.cut_boxes) == ([], 72)
    assert any("they may be boxes of images of another size" in line for line in found.problems)


def test_one_wrong_box_is_a_non_response_with_its_reason(bundle, huge, tmp_path):
    evaluation = evaluate(bundle, huge, tmp_path / "out")
    [(path, reason)] = evaluation.unreadable.items()
    assert path.endswith(ONE)
    assert f"{ONE}: the box" in reason
    assert "(line 4 of the manifest)" in reason
    lost = [record for record in evaluation.records if record.status is not ScoreStatus.SCORED]
    assert [(record.path, record.status) for record in lost] == [(path, ScoreStatus.UNREADABLE)]


def test_wrong_boxes_everywhere_end_evaluation_and_calibration(bundle, scaled, tmp_path):
    with pytest.raises(DatasetError, match="not one image can be used.*boxes of images of another size"):
        evaluate(bundle, scaled, tmp_path / "out")
    assert not (tmp_path / "out" / "scores.csv").exists()
    with pytest.raises(DatasetError, match="not one image can be used"):
        calibrate_bundle(bundle, scaled)


def test_the_wrong_box_does_not_matter_to_a_model_of_whole_frames(bundle, huge, tmp_path):
    [network] = bundle.description.networks
    whole = network.model_copy(update={"preprocess": replace(network.preprocess, crop_scale=None)})
    framed = replace(bundle, description=bundle.description.model_copy(update={"networks": (whole,)}))
    assert not evaluate(framed, huge, tmp_path / "out").unreadable


def test_training_leaves_out_a_wrong_box_and_says_why(huge):
    samples = read_manifest(huge)
    batch = CropSource(huge.parent, samples, PreprocessSpec(crop_scale=1.5, size=(16, 16))).batch([2, 3], 0)
    assert len(batch.pixels) == 1
    [(path, reason)] = batch.unreadable.items()
    assert path.endswith(ONE)
    assert "(line 4 of the manifest)" in reason


def test_depth_pack_and_quantisation_leave_out_a_wrong_box(manifest_like, tmp_path):
    manifest = manifest_like(tmp_path, lambda sample: one_huge(replace(sample, split="train")))
    depth = make_depth(manifest, labeller="template")
    packed = pack(manifest, tmp_path / "packed", jobs=1)
    images = quantisation_images(manifest, PreprocessSpec(crop_scale=1.5, size=(16, 16)))
    for unreadable in (depth.unreadable, packed.unreadable, images.unreadable):
        [(path, reason)] = dict(unreadable).items()
        assert path.endswith(ONE)
        assert "the box" in reason


def test_prepare_leaves_out_a_wrong_box_and_refuses_a_set_of_them(huge, scaled, tmp_path):
    summary = prepare("manifest", huge, tmp_path / "out", jobs=1)
    [(path, reason)] = summary.unreadable
    assert path.endswith(ONE)
    assert "(line 4 of the manifest)" in reason
    assert len(read_manifest(tmp_path / "out" / "manifest.csv")) == 71
    with pytest.raises(DatasetError, match=r"72 of 72 images of .* cannot be .* \(first: .*the box .* outside"):
        prepare("manifest", scaled, tmp_path / "refused", jobs=1)
    assert not (tmp_path / "refused" / "manifest.csv").exists()


def test_a_box_that_vanishes_in_a_written_manifest_is_refused_with_its_line(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text("path,subject,label,x1,y1,x2,y2\na.png,anna,live,1,1,9,9\nb.png,anna,live,5,5,5.0000001,9\n")
    with pytest.raises(ManifestError, match=r"manifest\.csv:3: box must be four numbers"):
        read_manifest(path)
