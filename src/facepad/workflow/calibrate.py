"""Calibration as a user knows it: a dev set gives a model its calibration and its threshold."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import manifest_words
from facepad.errors import InputError, MetricError, OutputExistsError, SeparableError
from facepad.metrics import (
    best_cluster,
    choose_threshold,
    expected_calibration_error,
    fit_platt,
    fit_temperature,
    format_threshold,
    parse_criterion,
)
from facepad.modelfile.bundle import Bundle, Calibration, write_bundle
from facepad.modelfile.catalog import find_model, look_up
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers import BundleScorer, Prepared, Scorer, Scores, calibrated
from facepad.training.augment import Augmentation
from facepad.types import Box, Label, ScoreRecord
from facepad.workflow.overlap import dev_notes
from facepad.workflow.scoring import dev_samples, score_samples, scoring_progress

__all__ = ["LogitScorer", "Method", "calibrate_bundle", "calibrate_model", "calibration_words", "with_calibration"]

_Fit = Literal["platt", "temperature"]
Method = _Fit | Literal["none"]
"""How a calibration is fitted; ``none`` keeps the one that there is."""
#: What a separable dev set is degraded by, as often as `_TURNS` says: none of it moves a picture or makes it an attack.
_DEGRADE = Augmentation(operations=("blur", "resolution", "noise", "jpeg"))
_TURNS = 3


def calibrate_model(
    model: str | Path,
    manifest: Path,
    out: Path | None = None,
    *,
    criterion: str = "eer",
    method: Method = "platt",
    progress: bool = True,
    unreadable: dict[str, str] | None = None,
    notes: list[str] | None = None,
) -> tuple[Bundle, Path]:
    """Give a model the calibration and the threshold that a dev set chooses, and write it.

    Args:
        model: A model file, which is replaced as a whole if there is no ``out``; a run folder or a listed model's name.
        manifest: See `calibrate_bundle`, as for the others.
        out: A new model file.
        criterion: How the threshold is chosen.
        method: What is fitted.
        progress: Draw progress bars on stderr.
        unreadable: Filled with path and reason of each image that could not be read.
        notes: Filled with what is known of dev images in the model's training; the threshold's origin says it too.

    Returns:
        The model with both, and the file that holds it.

    Raises:
        InputError: wrong input in any of its forms; nothing is written then.
    """
    found = look_up(model)
    if out is None and not (found and found.kind == "file"):
        raise InputError(f"{model} is no model file that could take its calibration; name a new file: --out FILE")
    if out is not None and out.exists():
        raise OutputExistsError(f"{out} exists already; choose another file, or remove it first")
    found = found or find_model(model)
    bundle = found.read()
    notes = [] if notes is None else notes
    notes += dev_notes(found.run, bundle, manifest, dev_samples(manifest))
    done = calibrate_bundle(
        bundle, manifest, criterion=criterion, method=method, progress=progress, unreadable=unreadable, notes=notes
    )
    return done, write_bundle(out or Path(model), done)


def calibrate_bundle(
    bundle: Bundle,
    manifest: Path,
    *,
    criterion: str = "eer",
    method: Method = "platt",
    progress: bool = True,
    unreadable: dict[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Bundle:
    """The model with a calibration and a threshold from a manifest's dev samples.

    The calibration is fitted to the dev logits; the threshold is then chosen on the calibrated dev scores. A dev set
    whose classes do not overlap determines no calibration: it is then fitted to the same images blurred, shrunk, noised
    and compressed; if the classes do not overlap even so, the calibration stays as it was, and its note says so.
    Figures that the model remembers of another threshold (those of the parity) are left out.

    Args:
        bundle: The model.
        manifest: Its dev samples count; all of them if it names no split.
        criterion: How the threshold is chosen (`facepad.metrics.parse_criterion`).
        method: ``platt`` (slope and offset), ``temperature`` (slope alone), or ``none``: the calibration
            stays as it is.
        progress: Draw progress bars on stderr.
        unreadable: Filled with path and reason of each image that could not be read.
        notes: Remarks that the threshold's origin keeps.

    Raises:
        InputError: no dev samples of one class, or none that can be scored; an unknown criterion; scores that do not
            rise with bona fide.
    """
    parse_criterion(criterion)
    samples = dev_samples(manifest)
    scorer = BundleScorer(bundle)
    with scoring_progress(progress) as bar:
        score = partial(score_samples, root=manifest.parent, samples=samples, bar=bar)
        found = score(LogitScorer(scorer), title="calibrating", unreadable=unreadable)
        calibration = bundle.description.calibration
        if method != "none":
            fitted = _fitted(found, method, manifest_words(manifest))
            if fitted is None:
                degraded = score(LogitScorer(scorer, degrade=True), title="degraded")
                fitted = _fitted_degraded(degraded, method, manifest_words(manifest), calibration)
            calibration = fitted
    records = with_calibration(found, calibration)
    threshold = choose_threshold(
        records,
        criterion,
        source=manifest_words(manifest),
        cluster=best_cluster(records),
        note="; ".join(notes),
    )
    facts = {name: value for name, value in bundle.description.facts.items() if name != "parity"}
    update = {"calibration": calibration, "threshold": threshold, "facts": facts}
    return Bundle(bundle.description.model_copy(update=update), bundle.files)


def calibration_words(bundle: Bundle) -> str:
    """A model's calibration and threshold in lines for a terminal."""
    found, threshold = bundle.description.calibration, bundle.description.threshold
    lines = [f"calibration: {found.method}"]
    if found.method != "none":
        lines[0] += f", P(bona fide) = sigmoid({found.slope:.4g} x logit {found.offset:+.4g}), on {found.source}"
        lines.append(f"expected calibration error there: {found.ece_before:.4f} before, {found.ece_after:.4f} after")
    lines += [f"note: {found.note}"] if found.note else []
    lines += [format_threshold(threshold)] if threshold else []
    return "\n".join(lines)


def with_calibration(logits: Sequence[ScoreRecord], calibration: Calibration) -> list[ScoreRecord]:
    """The records of a `LogitScorer` with calibrated scores."""
    return [
        record
        if record.score is None
        else replace(record, score=float(calibrated(np.array(record.score), calibration)))
        for record in logits
    ]


class LogitScorer:
    """A scorer whose scores are the logits, of images as they are or degraded."""

    def __init__(self, scorer: Scorer, *, degrade: bool = False) -> None:
        self._scorer, self._degrade = scorer, degrade

    @property
    def preprocess(self) -> tuple[PreprocessSpec, ...]:
        """How the networks want their input."""
        return self._scorer.preprocess

    def prepare(self, image: NDArray[np.uint8], box: Box | None) -> Prepared:
        """See `facepad.modelfile.scorers.Scorer`."""
        prepared = self._scorer.prepare(image, box)
        return tuple(map(_degraded, prepared)) if self._degrade else prepared

    def score(self, batch: Sequence[Prepared]) -> Scores:
        """See `facepad.modelfile.scorers.Scorer`."""
        logits = self._scorer.score(batch).logits
        return Scores(logits, logits)


def _degraded(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same for the same crop: its own bytes are the seed."""
    seed = zlib.crc32(crop.tobytes())
    for turn in range(_TURNS):
        crop = _DEGRADE(crop, (seed, turn), bona_fide=False)
    return crop


def _fitted(records: Sequence[ScoreRecord], method: _Fit, source: str) -> Calibration | None:
    """The calibration of logits; None if they are separable."""
    bona_fide, attack = (
        np.array([record.score for record in records if record.label is label and record.score is not None])
        for label in Label
    )
    try:
        slope, offset = fit_platt(bona_fide, attack) if method == "platt" else (fit_temperature(bona_fide, attack), 0.0)
    except SeparableError:
        return None
    line = Calibration(method=method, slope=slope, offset=offset, source=source)
    before, after = (
        expected_calibration_error(calibrated(bona_fide, which), calibrated(attack, which))
        for which in (Calibration(), line)
    )
    return line.model_copy(update={"ece_before": before, "ece_after": after})


def _fitted_degraded(records: Sequence[ScoreRecord], method: _Fit, source: str, before: Calibration) -> Calibration:
    try:
        found = _fitted(records, method, source)
    except MetricError:  # so far degraded that the scores do not rise any more
        found = None
    if found is None:
        note = f"the scores of {source} are separable, those of its images degraded too, and determine no calibration"
        if before.method == "none":
            return Calibration(note=note)
        if note in before.note:
            return before
        return before.model_copy(update={"note": "; ".join(filter(None, (before.note, note, "it stayed as it was")))})
    return found.model_copy(update={"note": "the dev scores are separable: fitted to degraded dev images"})
