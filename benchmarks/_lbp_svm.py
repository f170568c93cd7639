"""Colour texture and a linear SVM: uniform LBP histograms of the HSV and YCbCr channels of a face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from facepad.datasets.pack import refuse_narrow_crops
from facepad.datasets.unreadable import refuse_mostly_unreadable
from facepad.errors import ImageError, InputError, RunError
from facepad.media.images import read_image
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers import Prepared, Scores, sigmoid
from facepad.runtime.parallel import map_ahead
from facepad.runtime.progress import progress_bar
from facepad.types import Box, Label, Sample, Split

__all__ = ["LBP_SPEC", "LbpSvmScorer", "colour_texture", "train_lbp_svm"]

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]

#: The face square alone, at the size that the method is defined for.
LBP_SPEC = PreprocessSpec(crop_scale=1.0, size=(64, 64))
#: LBP with 8 neighbours: 58 uniform codes (at most two changes around the circle), and one for all others.
_BINS = 59
#: Costs of the SVM that are tried.
_COSTS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_FOLDS = 5


def colour_texture(image: Image) -> Floats:
    """Histograms of uniform LBP(8, 1) codes in the channels H, S, V, Y, Cr, Cb, one after the other.

    The descriptor of Boulkenafet, Komulainen & Hadid ("Face anti-spoofing based on color texture analysis", ICIP 2015;
    "Face spoofing detection using colour texture analysis", IEEE TIFS 2016), who take it from faces of 64x64.

    Args:
        image: uint8 RGB ``(H, W, 3)`` of at least 3x3 pixels.

    Returns:
        ``(354,)`` in [0, 1]: 59 numbers per channel, which sum to 1.

    Example:
        >>> texture = colour_texture(np.full((64, 64, 3), 128, dtype=np.uint8))
        >>> texture.shape, texture.sum()
        ((354,), np.float64(6.0))
    """
    spaces = [cv2.cvtColor(image, code) for code in (cv2.COLOR_RGB2HSV_FULL, cv2.COLOR_RGB2YCrCb)]
    return np.concatenate([_histogram(channel) for space in spaces for channel in cv2.split(space)])


def _histogram(channel: NDArray[Any]) -> Floats:
    codes: Floats = local_binary_pattern(channel, P=8, R=1, method="nri_uniform")  # type: ignore[no-untyped-call]
    # Pixels of the outermost rows and columns lack neighbours.
    counts = np.bincount(codes[1:-1, 1:-1].astype(np.intp).ravel(), minlength=_BINS)
    return np.asarray(counts / counts.sum(), dtype=np.float64)


@dataclass(frozen=True)
class LbpSvmScorer:
    """A trained colour texture SVM: a `facepad.modelfile.scorers.Scorer` of one weight per histogram bin.

    Standardisation, SVM and calibration are affine: together they are kept as one affine map.

    Attributes:
        spec: How its input is preprocessed.
        weights: ``(354,)``, of `colour_texture`.
        bias: Added to the weighted sum.
        cost: The SVM's C that was chosen.
        train_images: Number of images that it has learnt from.
        left_out: Path and reason, of train images that could not be used.
    """

    spec: PreprocessSpec
    weights: Floats
    bias: float
    cost: float
    train_images: int
    left_out: dict[str, str]

    @property
    def preprocess(self) -> tuple[PreprocessSpec, ...]:
        """The one preparation of its input."""
        return (self.spec,)

    def prepare(self, image: Image, box: Box | None) -> Prepared:
        """The crop of the face, uint8 RGB."""
        return (self.spec.apply(image, box),)

    def score(self, batch: Sequence[Prepared]) -> Scores:
        """Scores in [0, 1] and logits of prepared crops."""
        # Row by row, so that the last digits of a score do not depend on the batch that its image came in.
        textures = map_ahead(colour_texture, [prepared[0] for prepared in batch])
        logits = np.array([np.dot(texture, self.weights) for texture in textures]) + self.bias
        return Scores(sigmoid(logits), logits)


def train_lbp_svm(
    root: Path,
    samples: Sequence[Sample],
    spec: PreprocessSpec = LBP_SPEC,
    *,
    progress: bool = False,
) -> LbpSvmScorer:
    """Train the colour texture SVM on the train samples; dev and test are not opened.

    The paper gives histograms and SVM; the rest is ours: bins are standardised, classes count the same, and C and the
    calibration come from decisions on held-out training subjects (the C whose calibrated decisions lose least). The
    calibration is a rising logistic function, so that the score ranks as the SVM's decision does.

    Args:
        root: Folder that the samples' paths are relative to.
        samples: Of all splits.
        spec: How the images are preprocessed.
        progress: Draw a progress bar on stderr.

    Raises:
        InputError: fewer than two train subjects of a class, or too many unreadable images.
        RunError: what is learnt from some training subjects says nothing about the others.
    """
    train = [sample for sample in samples if sample.split is Split.TRAIN]
    usable = [sample for sample in train if sample.box is not None or not spec.needs_face]
    skipped = {sample.path: "no face" for sample in train if sample.box is None and spec.needs_face}
    _check_subjects(usable)
    rows, kept, unreadable = _textures(root, usable, spec, progress)
    _check_subjects(kept)
    labels = np.array([sample.label is Label.BONA_FIDE for sample in kept])
    cost, slope, offset = _choose(rows, labels, [sample.subject for sample in kept], progress)
    scaler, svm = _classifier(cost).fit(rows, labels).named_steps.values()
    direction = slope * svm.coef_[0] / scaler.scale_
    bias = slope * svm.intercept_[0] + offset - np.dot(direction, scaler.mean_)
    return LbpSvmScorer(spec, direction, float(bias), cost, len(kept), skipped | unreadable)


def _check_subjects(samples: Sequence[Sample]) -> None:
    counts = [len({sample.subject for sample in samples if sample.label is label}) for label in Label]
    if min(counts) < 2:
        raise InputError(
            "training needs usable images of at least two subjects of each class in split 'train' (one learns, one "
            f"judges), got {counts[0]} with bona fide and {counts[1]} with attack images"
        )


def _textures(
    root: Path, samples: Sequence[Sample], spec: PreprocessSpec, progress: bool
) -> tuple[Floats, list[Sample], dict[str, str]]:
    """The descriptors ``(n, 354)`` of the readable samples, these samples, and path and reason of the others.

    Raises:
        DatasetError: more than 5 % cannot be read.
    """

    def texture(sample: Sample) -> Floats | ImageError:
        try:
            return colour_texture(spec.apply(read_image(root / sample.path), sample.box))
        except ImageError as error:
            return error

    refuse_narrow_crops(root, samples, spec.reach)
    rows, kept, unreadable = [], [], {}
    with progress_bar("colour textures", len(samples), shown=progress) as advance:
        for sample, row in zip(samples, map_ahead(texture, samples), strict=True):
            advance()
            if isinstance(row, ImageError):
                unreadable[sample.path] = str(row)
            else:
                rows.append(row)
                kept.append(sample)
    refuse_mostly_unreadable(unreadable, len(samples), "training images")
    return np.stack(rows), kept, unreadable


def _classifier(cost: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LinearSVC(C=cost, dual=False, class_weight="balanced"))


def _choose(
    rows: Floats, labels: NDArray[np.bool_], subjects: Sequence[str], progress: bool
) -> tuple[float, float, float]:
    """The cost, and slope and offset of its calibration, whose decisions on held-out subjects lose least.

    Raises:
        InputError: the subjects cannot be divided so that both classes are learnt from.
        RunError: no cost ranks held-out bona fide images above held-out attacks.
    """
    folds = list(_folds(labels, subjects))
    held = np.concatenate([test for _, test in folds]) if folds else np.empty(0, np.intp)
    if len(np.unique(labels[held])) < 2:
        raise InputError(
            "the train subjects cannot be divided so that both classes are learnt from some and judged on others; "
            "training needs more subjects of each class"
        )
    truth = labels[held]
    found: list[tuple[float, float, float, float]] = []
    with progress_bar("cost of the SVM", len(_COSTS), shown=progress) as advance:
        for cost in _COSTS:
            advance()
            decisions = np.concatenate(
                [_classifier(cost).fit(rows[fit], labels[fit]).decision_function(rows[test]) for fit, test in folds]
            )
            # Its penalty keeps the slope finite where the held-out classes are apart.
            logistic = LogisticRegression(class_weight="balanced").fit(decisions[:, None], truth)
            weights = np.where(truth, 1 / truth.sum(), 1 / (~truth).sum())
            loss = log_loss(truth, logistic.predict_proba(decisions[:, None])[:, 1], sample_weight=weights)
            found.append((float(loss), cost, float(logistic.coef_[0, 0]), float(logistic.intercept_[0])))
    rising = [entry for entry in found if entry[2] > 0]
    if not rising:
        raise RunError(
            "the texture that some training subjects teach says nothing about the others: held-out attacks rank above "
            "bona fide images; check the labels, or train on more subjects"
        )
    _, cost, slope, offset = min(rising)
    return cost, slope, offset


def _folds(labels: NDArray[np.bool_], subjects: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows to learn from and rows to judge, no subject in both, for each fold that has both classes to learn from."""
    names = np.array(subjects)
    count = min(_FOLDS, *(len(np.unique(names[labels == label])) for label in (True, False)))
    for fit, test in StratifiedGroupKFold(count).split(names, labels, names):
        if len(np.unique(labels[fit])) == 2:
            yield fit, test
