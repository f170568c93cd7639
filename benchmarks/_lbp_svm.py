"""A linear SVM on colour texture: histograms of uniform LBP codes in the HSV and YCbCr channels of a face."""

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

#: The face square without surroundings, in the size of the papers.
LBP_SPEC = PreprocessSpec(crop_scale=1.0, size=(64, 64))
#: LBP with 8 neighbours has 58 uniform codes (at most two changes around the circle). All other codes share one bin.
_BINS = 59
#: The tested costs (C) of the SVM.
_COSTS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_FOLDS = 5


def colour_texture(image: Image) -> Floats:
    """Concatenated histograms of uniform LBP(8, 1) codes in the channels H, S, V, Y, Cr, Cb.

    This is the descriptor of Boulkenafet, Komulainen & Hadid ("Face anti-spoofing based on color texture analysis",
    ICIP 2015; "Face spoofing detection using colour texture analysis", IEEE TIFS 2016). They use faces of 64x64 pixels.

    Args:
        image: uint8 RGB ``(H, W, 3)`` of at least 3x3 pixels.

    Returns:
        ``(354,)`` in [0, 1]: 59 numbers per channel. The numbers of a channel sum to 1.

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
    """A trained colour texture SVM, as a `facepad.modelfile.scorers.Scorer` with one weight per histogram bin.

    Standardisation, SVM and calibration are affine. They are stored as one affine map.

    Attributes:
        spec: Preprocessing of the input.
        weights: ``(354,)``, the weights of the values of `colour_texture`.
        bias: The number that is added to the weighted sum.
        cost: The chosen C of the SVM.
        train_images: Number of training images.
        left_out: Path -> reason, for train images that could not be used.
    """

    spec: PreprocessSpec
    weights: Floats
    bias: float
    cost: float
    train_images: int
    left_out: dict[str, str]

    @property
    def preprocess(self) -> tuple[PreprocessSpec, ...]:
        """The preprocessing of the input."""
        return (self.spec,)

    def prepare(self, image: Image, box: Box | None) -> Prepared:
        """The crop of the face, uint8 RGB."""
        return (self.spec.apply(image, box),)

    def score(self, batch: Sequence[Prepared]) -> Scores:
        """Scores in [0, 1] and logits of prepared crops."""
        # Row by row, because the last digits of a matrix product would depend on the other images of the batch.
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
    """Train the colour texture SVM on the train samples. Files of dev and test are not opened.

    Histograms and SVM are those of the paper. The other parts are not: the bins are standardised, the classes have
    equal weight, and C and the calibration are chosen on held-out training subjects (the C with the smallest log loss
    of the calibrated decisions). The calibration is an increasing logistic function. The scores therefore have the
    order of the SVM's decision values.

    Args:
        root: Folder of the samples. Their paths are relative to this folder.
        samples: The samples of all splits.
        spec: Preprocessing of the images.
        progress: Draw a progress bar on stderr.

    Raises:
        InputError: fewer than two train subjects of a class, or too many unreadable images.
        RunError: for each C, held-out attacks have higher decision values than held-out bona fide images.
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
            "training needs usable images of at least two subjects of each class in split 'train' (one for "
            f"training, one for validation), got {counts[0]} with bona fide and {counts[1]} with attack images"
        )


def _textures(
    root: Path, samples: Sequence[Sample], spec: PreprocessSpec, progress: bool
) -> tuple[Floats, list[Sample], dict[str, str]]:
    """The descriptors ``(n, 354)`` of the readable samples, these samples, and path -> reason for unreadable samples.

    Raises:
        DatasetError: more than 5 % of the samples cannot be read.
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
    """The cost with the smallest log loss on held-out subjects, and the slope and offset of its calibration.

    Raises:
        InputError: the subjects cannot be divided so that training and validation have both classes.
        RunError: for each cost, held-out attacks have higher decision values than held-out bona fide images.
    """
    folds = list(_folds(labels, subjects))
    held = np.concatenate([test for _, test in folds]) if folds else np.empty(0, np.intp)
    if len(np.unique(labels[held])) < 2:
        raise InputError(
            "the train subjects cannot be divided so that training and validation have both classes; "
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
            # The penalty of LogisticRegression keeps the slope finite if the held-out classes are separable.
            logistic = LogisticRegression(class_weight="balanced").fit(decisions[:, None], truth)
            weights = np.where(truth, 1 / truth.sum(), 1 / (~truth).sum())
            loss = log_loss(truth, logistic.predict_proba(decisions[:, None])[:, 1], sample_weight=weights)
            found.append((float(loss), cost, float(logistic.coef_[0, 0]), float(logistic.intercept_[0])))
    rising = [entry for entry in found if entry[2] > 0]
    if not rising:
        raise RunError(
            "the texture that separates the classes of some training subjects does not separate those of the others: "
            "held-out attacks have higher scores than bona fide images; check the labels, or train on more subjects"
        )
    _, cost, slope, offset = min(rising)
    return cost, slope, offset


def _folds(labels: NDArray[np.bool_], subjects: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Training and validation rows, without shared subjects, for each fold with both classes in the training rows."""
    names = np.array(subjects)
    count = min(_FOLDS, *(len(np.unique(names[labels == label])) for label in (True, False)))
    for fit, test in StratifiedGroupKFold(count).split(names, labels, names):
        if len(np.unique(labels[fit])) == 2:
            yield fit, test
