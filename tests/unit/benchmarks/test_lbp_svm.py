"""Baselines: the texture descriptor by hand, and a scorer that learns from train alone and gives the usual files."""

from __future__ import annotations

import colorsys
import math
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.svm import LinearSVC

from _lbp_svm import LBP_SPEC, colour_texture, train_lbp_svm
from facepad.datasets.manifest import read_manifest
from facepad.errors import InputError, RunError
from facepad.media.images import read_image
from facepad.types import Label, Split
from facepad.workflow.scoring import EvaluationOptions, evaluate_samples, score_samples


def uniform_patterns() -> list[int]:
    """The 58 codes of 8 bits with at most two changes around the circle."""
    return [
        code for code in range(256) if sum((code >> bit & 1) != (code >> (bit + 1) % 8 & 1) for bit in range(8)) <= 2
    ]


def slow_histogram(channel: list[list[float]]) -> list[float]:
    """Counts of LBP(8, 1) codes, one pixel and one neighbour after the other: uniform ones, then the rest."""
    counts = dict.fromkeys(uniform_patterns(), 0) | {-1: 0}
    height, width = len(channel), len(channel[0])
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            code = 0
            for neighbour in range(8):
                angle = 2 * math.pi * neighbour / 8
                y, x = round(row - math.sin(angle), 5), round(column + math.cos(angle), 5)
                top, left = math.floor(y), math.floor(x)
                value = 0.0
                for r, c in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
                    weight = max(0, 1 - abs(y - r)) * max(0, 1 - abs(x - c))
                    value += weight * channel[r][c] if weight else 0.0
                code |= (value >= channel[row][column]) << neighbour
            counts[code if code in counts else -1] += 1
    total = (height - 2) * (width - 2)
    return [count / total for count in counts.values()]


def test_there_are_58_uniform_patterns():
    assert len(uniform_patterns()) == 58


@pytest.mark.parametrize("seed", range(3))
def test_colour_texture_equals_histograms_by_hand(seed):
    rng = np.random.default_rng(seed)
    # Noise: where neighbours are alike, an interpolated value can equal the centre but for its last digit.
    image = rng.integers(0, 256, (24, 27, 3), dtype=np.uint8)
    got = colour_texture(image).reshape(6, 59)
    spaces = np.dstack([cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)])
    for channel in range(6):
        expected = slow_histogram(spaces[..., channel].tolist())
        # Which bin a uniform pattern gets is the library's own; how often each occurs is not.
        np.testing.assert_allclose(sorted(got[channel, :58]), sorted(expected[:58]), atol=1e-12)
        assert got[channel, 58] == pytest.approx(expected[58])


def test_colour_texture_puts_each_pattern_into_a_bin_of_its_own():
    bins = set()
    for code in uniform_patterns():
        image = np.full((3, 3, 3), 100, np.uint8)
        # Values at the corners are found by interpolation with the centre: far enough apart, they keep their sign.
        for bit, (row, column) in enumerate(((1, 2), (0, 2), (0, 1), (0, 0), (1, 0), (2, 0), (2, 1), (2, 2))):
            image[row, column] = 200 if code >> bit & 1 else 0
        value_channel = colour_texture(image).reshape(6, 59)[2]
        assert value_channel.max() == 1
        bins.add(int(value_channel.argmax()))
    assert len(bins) == 58 and 58 not in bins


@pytest.mark.parametrize("channel", range(3))
def test_colour_texture_keeps_hue_saturation_and_value_in_that_order(channel):
    flat = np.full((16, 16, 3), (0.3, 0.5, 0.6))
    uneven = flat.copy()
    uneven[..., channel] += np.random.default_rng(0).uniform(-0.2, 0.2, (16, 16))
    textures = []
    for hsv in (flat, uneven):
        rgb = [[colorsys.hsv_to_rgb(*pixel) for pixel in row] for row in hsv]
        textures.append(colour_texture(np.rint(255 * np.array(rgb)).astype(np.uint8)).reshape(6, 59)[:3])
    assert np.abs(textures[1] - textures[0]).sum(axis=1).argmax() == channel


@pytest.fixture(scope="module")
def trained(tiny_manifest):
    samples = read_manifest(tiny_manifest)
    return train_lbp_svm(tiny_manifest.parent, samples), samples


def test_scorer_tells_the_classes_apart(trained, tiny_manifest, tmp_path):
    scorer, samples = trained
    evaluation = evaluate_samples(scorer, tiny_manifest.parent, samples, tmp_path, EvaluationOptions(probes=False))
    assert evaluation.summary.rates["eer"].value == 0
    assert evaluation.summary.rates["hter"].value <= 0.1
    assert (tmp_path / "scores.csv").is_file()
    assert len(evaluation.records) == 48 and all(0 <= record.score <= 1 for record in evaluation.records)
    assert scorer.preprocess == (LBP_SPEC,) and scorer.train_images == 24


def test_scores_do_not_depend_on_the_batch(trained, tiny_manifest):
    scorer, samples = trained
    scores = [
        [record.score for record in score_samples(scorer, tiny_manifest.parent, samples[:12], batch_size=size).records]
        for size in (1, 5, 12)
    ]
    assert scores[0] == scores[1] == scores[2]


def test_scores_equal_the_weighted_sum_by_hand(trained):
    scorer, _ = trained
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    logit = scorer.bias + sum(w * t for w, t in zip(scorer.weights, colour_texture(image), strict=True))
    assert scorer.score([(image,)]).values[0] == pytest.approx(1 / (1 + math.exp(-logit)))


def test_scores_rise_with_the_svms_decision_and_part_the_classes_at_one_half(trained, tiny_manifest):
    scorer, samples = trained
    train = [sample for sample in samples if sample.split is Split.TRAIN]
    images = [LBP_SPEC.apply(read_image(tiny_manifest.parent / sample.path), sample.box) for sample in train]
    textures = np.array([colour_texture(image) for image in images])
    labels = np.array([sample.label is Label.BONA_FIDE for sample in train])
    standardised = (textures - textures.mean(axis=0)) / np.where(textures.std(axis=0) > 0, textures.std(axis=0), 1)
    svm = LinearSVC(C=scorer.cost, dual=False, class_weight="balanced").fit(standardised, labels)
    scores = scorer.score([(image,) for image in images]).values
    assert np.corrcoef(svm.decision_function(standardised), np.log(scores / (1 - scores)))[0, 1] > 1 - 1e-9
    np.testing.assert_array_equal(scores > 0.5, labels)


def test_training_learns_from_train_alone(trained, tiny_manifest, tmp_path):
    """Without the files of dev and test, and with their labels turned round, it learns the same."""
    scorer, samples = trained
    for sample in samples:
        if sample.split is Split.TRAIN:
            shutil.copy(tiny_manifest.parent / sample.path, tmp_path)
    changed = [
        sample if sample.split is Split.TRAIN else replace(sample, label=Label.BONA_FIDE, attack_type=None)
        for sample in samples
    ]
    again = train_lbp_svm(tmp_path, changed)
    np.testing.assert_array_equal(again.weights, scorer.weights)
    assert (again.bias, again.cost) == (scorer.bias, scorer.cost)


def test_training_refuses_one_class_and_one_subject(tiny_manifest):
    samples = read_manifest(tiny_manifest)
    attacks = [sample for sample in samples if sample.label is Label.ATTACK]
    with pytest.raises(InputError, match="at least two subjects of each class in split 'train'.* 0 with bona .* 3"):
        train_lbp_svm(tiny_manifest.parent, attacks)
    alone = [replace(sample, subject="anna") for sample in samples]
    with pytest.raises(InputError, match="got 1 with bona fide and 1 with attack"):
        train_lbp_svm(tiny_manifest.parent, alone)


def test_training_lists_what_it_leaves_out(tiny_manifest, tmp_path):
    samples = [sample for sample in read_manifest(tiny_manifest) if sample.split is Split.TRAIN]
    for sample in samples:
        shutil.copy(tiny_manifest.parent / sample.path, tmp_path)
    samples[0] = replace(samples[0], box=None)
    (tmp_path / samples[1].path).write_bytes(b"")
    scorer = train_lbp_svm(tmp_path, samples)
    assert scorer.train_images == 22
    assert scorer.left_out[samples[0].path] == "no face"
    assert samples[1].path in scorer.left_out[samples[1].path]
    (tmp_path / samples[2].path).unlink()
    with pytest.raises(InputError, match=r"2 of 23 training images cannot be read \(first: "):
        train_lbp_svm(tmp_path, samples)


def test_training_fails_when_nothing_carries_over_to_other_subjects(tiny_manifest):
    """The labels of one subject are swapped, so the texture of one subject is wrong for the other."""
    samples = [sample for sample in read_manifest(tiny_manifest) if sample.split is Split.TRAIN]
    other = {Label.BONA_FIDE: Label.ATTACK, Label.ATTACK: Label.BONA_FIDE}
    kinds = {sample.label: sample.attack_type for sample in samples}
    turned = [
        replace(sample, label=other[sample.label], attack_type=kinds[other[sample.label]])
        if sample.subject == "train-0"
        else replace(sample, subject="train-1")
        for sample in samples
    ]
    with pytest.raises(RunError, match="does not separate those of the others"):
        train_lbp_svm(tiny_manifest.parent, turned)


def test_crop_of_ones_own_is_kept(tiny_manifest: Path):
    spec = replace(LBP_SPEC, crop_scale=1.6)
    scorer = train_lbp_svm(tiny_manifest.parent, read_manifest(tiny_manifest), spec)
    assert scorer.spec.crop_scale == 1.6
