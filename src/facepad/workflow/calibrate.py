"""Calibrating a model: a dev set gives it its calibration and its threshold."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import manifest_words
from facepad.errors import InputError, MetricError, OutputExistsError, SeparableError
from facepad.metrics import (
    Note,
    NoteKind,
    choose_threshold,
    expected_calibration_error,
    fit_platt,
    fit_temperature,
    format_threshold,
    joined,
    parse_criterion,
    remarks,
)
from facepad.modelfile.bundle import Bundle, Calibration, write_bundle
from facepad.modelfile.catalog import find_model, look_up
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers import BundleScorer, Prepared, Scorer, Scores, calibrated
from facepad.training.augment import Augmentation
from facepad.types import Box, Label, ScoreRecord
from facepad.workflow.overlap import dev_notes
from facepad.workflow.scoring import dev_samples, score_samples

__all__ = [
    "Calibrated",
    "LogitScorer",
    "Method",
    "calibrate_bundle",
    "calibrate_model",
    "calibration_words",
    "degraded",
    "with_calibration",
]

_Fit = Literal["platt", "temperature"]
Method = _Fit | Literal["none"]
"""How a calibration is fitted; ``none`` keeps the one that there is."""
#: A separable dev set is degraded by these operations, _TURNS times. They neither move the face nor imitate an attack.
_DEGRADE = Augmentation(operations=("blur", "resolution", "noise", "jpeg"))
_TURNS = 3


@dataclass(frozen=True)
class Calibrated:
    """A model that a dev set gave its calibration and its threshold.

    Attributes:
        bundle: The model with both.
        unreadable: The dev images that could not be read: path to reason.
        notes: What is known of dev images in the model's training; the threshold's origin says it too.
    """

    bundle: Bundle
    unreadable: dict[str, str]
    notes: Sequence[str] = ()


def calibrate_model(
    model: str | Path,
    manifest: Path,
    out: Path | None = None,
    *,
    criterion: str = "eer",
    method: Method = "platt",
    progress: bool = False,
) -> Calibrated:
    """Give a model the calibration and the threshold that a dev set chooses, and write it.

    Args:
        model: A model file, which is replaced as a whole without ``out``; a run folder or a listed model's name.
        manifest: Its dev samples calibrate, or all its samples if it has no splits.
        out: A new model file.
        criterion: How the threshold is chosen (`facepad.metrics.parse_criterion`).
        method: What is fitted, as in `calibrate_bundle`.
        progress: Draw progress bars on stderr.

    Raises:
        InputError: the input is wrong in any way; nothing is written then.
    """
    found = look_up(model)
    if out is None and not (found and found.kind == "file"):
        raise InputError(f"{model} is no model file that could take its calibration; name a new file: --out FILE")
    if out is not None and out.exists():
        raise OutputExistsError(f"{out} exists already; choose another file, or remove it first")
    found = found or find_model(model)
    bundle = found.read()
    notes = dev_notes(found.run, bundle, manifest, dev_samples(manifest))
    done = calibrate_bundle(bundle, manifest, criterion=criterion, method=method, progress=progress, notes=notes)
    write_bundle(out or found.path, done.bundle)
    return done


def calibrate_bundle(
    bundle: Bundle,
    manifest: Path,
    *,
    criterion: str = "eer",
    method: Method = "platt",
    progress: bool = False,
    notes: Sequence[str] = (),
) -> Calibrated:
    """Give a model in memory a calibration and a threshold from a manifest's dev samples.

    The calibration is fitted to the dev logits; the threshold is then chosen on the calibrated dev scores. A dev set
    whose classes do not overlap determines no calibration. The calibration is then fitted to the same images blurred,
    shrunk, noised and compressed. If the classes do not overlap even so, the calibration stays, and its note says so.
    The model's parity figures are dropped: they were measured at another threshold.

    Args:
        bundle: The model.
        manifest: Its dev samples calibrate, or all its samples if it has no splits.
        criterion: How the threshold is chosen (`facepad.metrics.parse_criterion`).
        method: ``platt`` fits slope and offset, ``temperature`` the slope alone; ``none`` keeps the calibration.
        progress: Draw progress bars on stderr.
        notes: Remarks that the threshold's origin keeps.

    Raises:
        InputError: dev has no samples of one class, or none that can be scored; the criterion is unknown; the scores do
            not rise with bona fide.
    """
    parse_criterion(criterion)
    samples, source = dev_samples(manifest), manifest_words(manifest)
    scorer, before = BundleScorer(bundle), bundle.description.calibration
    score = partial(score_samples, root=manifest.parent, samples=samples)
    scored = score(LogitScorer(scorer), title="calibrating" if progress else None)
    calibration = before
    if method != "none" and (fitted := _fitted(scored.records, method, source)):
        calibration = fitted
    elif method != "none":
        worse = score(LogitScorer(scorer, degrade=True), title="degraded" if progress else None)
        calibration = _fitted_degraded(worse.records, method, source, before)
    records = with_calibration(scored.records, calibration)
    threshold = choose_threshold(records, criterion, source=source, notes=remarks(notes))
    facts = {name: value for name, value in bundle.description.facts.items() if name != "parity"}
    update = {"calibration": calibration, "threshold": threshold, "facts": facts}
    described = bundle.description.model_copy(update=update)
    return Calibrated(Bundle(described, bundle.files), scored.unreadable, notes)


def calibration_words(bundle: Bundle) -> str:
    """A model's calibration and threshold in lines for a terminal."""
    found, threshold = bundle.description.calibration, bundle.description.threshold
    lines = [f"calibration: {found.method}"]
    if found.method != "none":
        lines[0] += f", P(bona fide) = sigmoid({found.slope:.4g} x logit {found.offset:+.4g}), on {found.source}"
        lines.append(f"expected calibration error there: {found.ece_before:.4f} before, {found.ece_after:.4f} after")
    lines += [f"note: {joined(found.notes)}"] if found.notes else []
    lines += [format_threshold(threshold)] if threshold else []
    return "\n".join(lines)


def with_calibration(logits: Sequence[ScoreRecord], calibration: Calibration) -> list[ScoreRecord]:
    """The records of a `LogitScorer` with calibrated scores, P(bona fide) in [0, 1]."""
    return [
        record
        if record.score is None
        else replace(record, score=float(calibrated(np.array(record.score), calibration)))
        for record in logits
    ]


class LogitScorer:
    """A scorer whose scores are the logits of another scorer, of plain or degraded images.

    Args:
        scorer: The other scorer.
        degrade: Whether its input is degraded.
    """

    def __init__(self, scorer: Scorer, *, degrade: bool = False) -> None:
        self._scorer, self._degrade = scorer, degrade

    @property
    def preprocess(self) -> tuple[PreprocessSpec, ...]:
        """How each network's input is preprocessed."""
        return self._scorer.preprocess

    def prepare(self, image: NDArray[np.uint8], box: Box | None) -> Prepared:
        """The networks' input of an image with its face square, degraded if asked for."""
        prepared = self._scorer.prepare(image, box)
        return tuple(map(degraded, prepared)) if self._degrade else prepared

    def score(self, batch: Sequence[Prepared]) -> Scores:
        """The logits of a batch, as values too."""
        logits = self._scorer.score(batch).logits
        return Scores(logits, logits)


def degraded(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A uint8 RGB crop ``(H, W, 3)`` blurred, shrunk, noised and compressed; the same crop always gives the same."""
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
    """The calibration of degraded images; if they determine none, the one before, with a note."""
    try:
        found = _fitted(records, method, source)
    except MetricError:  # images so degraded that their scores no longer rise with bona fide
        found = None
    if found is not None:
        note = Note(NoteKind.SEPARABLE, "the dev scores are separable: fitted to degraded dev images")
        return found.model_copy(update={"notes": (note,)})
    note = Note(
        NoteKind.SEPARABLE,
        f"the scores of {source} are separable, those of its images degraded too, and determine no calibration",
    )
    if before.method == "none":
        return Calibration(notes=(note,))
    if note in before.notes:
        return before
    return before.model_copy(update={"notes": (*before.notes, note, *remarks(["it stayed as it was"]))})
