"""Calibration of a model: a dev set determines the calibration and the threshold."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import manifest_words
from facepad.errors import InputError, MetricError, SeparableError
from facepad.files.disk import refuse_existing
from facepad.files.locks import exclusive_file, new_file
from facepad.metrics import (
    WEAK_BELOW,
    Note,
    NoteKind,
    choose_presets,
    choose_threshold,
    expected_calibration_error,
    fit_platt,
    fit_temperature,
    format_threshold,
    joined,
    parse_criterion,
    preset_notes,
    remarks,
    weak_notes,
)
from facepad.modelfile.bundle import Bundle, Calibration, write_bundle
from facepad.modelfile.catalog import find_model
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.scorers import BundleScorer, Prepared, Scorer, Scores, calibrated
from facepad.training.augment import Augmentation
from facepad.types import Box, Label, Sample, ScoreRecord
from facepad.workflow.overlap import coverage_notes, detector_notes, dev_notes
from facepad.workflow.scoring import dev_samples, refuse_all_unreadable, score_samples

__all__ = [
    "Calibrated",
    "CalibrationSettings",
    "LogitScorer",
    "Method",
    "calibrate_bundle",
    "calibrate_model",
    "calibration_words",
    "degraded",
    "refuse_few_people",
    "threshold_lines",
    "with_calibration",
]

_Fit = Literal["platt", "temperature"]
Method = _Fit | Literal["none"]
"""The method that fits a calibration; ``none`` keeps the model's present calibration."""
#: A separable dev set is degraded by these operations, _TURNS times. They do not move the face or imitate an attack.
_DEGRADE = Augmentation(operations=("blur", "resolution", "noise", "jpeg"))
_TURNS = 3
#: A calibration that raises the expected calibration error by more is weak.
_WORSE = 0.01


@dataclass(frozen=True)
class Calibrated:
    """A calibrated model.

    Attributes:
        bundle: The model with its new calibration and threshold.
        unreadable: Path -> reason, for each dev image that could not be read.
    """

    bundle: Bundle
    unreadable: dict[str, str]


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """The settings of a calibration.

    Attributes:
        criterion: The rule that chooses the threshold (`facepad.metrics.parse_criterion`).
        method: The fitted parameters, as in `calibrate_bundle`.
        force: Calibrate on fewer than `facepad.metrics.WEAK_BELOW` people of a class, too. The model is then weak.
    """

    criterion: str = "eer"
    method: Method = "platt"
    force: bool = False


def calibrate_model(
    model: str | Path,
    manifest: Path,
    out: Path | None = None,
    settings: CalibrationSettings | None = None,
    *,
    progress: bool = False,
) -> Calibrated:
    """Calibrate a model on a dev set, choose its threshold on the same dev set, and write the model.

    Args:
        model: A model file, a run folder or a listed model's name. Without ``out``, it must be a model file, which is
            then rewritten.
        manifest: The manifest with the dev samples. A manifest without splits gives all of its samples.
        out: A new model file.
        settings: The settings.
        progress: Draw progress bars on stderr.

    Raises:
        InputError: the input is wrong. Then no file is written.
        BusyError: another process writes the model file.
    """
    settings = settings or CalibrationSettings()
    found = find_model(model)
    if out is None and found.kind != "file":
        what = "run folder" if found.run else "listed model"
        raise InputError(f"{model} is a {what}, and calibrate rewrites only model files; name a new file: --out FILE")
    if out is not None:
        refuse_existing(out)
    dev = dev_samples(manifest)
    if not settings.force:
        refuse_few_people(dev, manifest, "calibrating")
    with nullcontext() if out else exclusive_file(found.path, "calibrating"):
        bundle = found.read()
        notes = [*dev_notes(found.run, bundle, manifest, dev), *detector_notes(manifest, bundle)]
        rule, fit = settings.criterion, settings.method
        done = calibrate_bundle(bundle, manifest, criterion=rule, method=fit, progress=progress, notes=notes)
        with new_file(out, "calibrating") if out else nullcontext():
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
    """Calibrate a model in memory on a manifest's dev samples, and choose its threshold and presets on them.

    The calibration is fitted to the dev logits. The thresholds are then chosen on the calibrated dev scores. If a class
    has fewer than `facepad.metrics.WEAK_BELOW` people, a note of the kind ``weak`` in all origins says so.

    If the dev scores are separable (the classes do not overlap), they determine no calibration. The calibration is then
    fitted to degraded images: the same images blurred, shrunk, noised and compressed. If the scores of the degraded
    images are separable too, the model keeps its present calibration, with a note.

    The model's parity figures are removed, because they were measured at another threshold.

    Args:
        bundle: The model.
        manifest: The manifest with the dev samples. A manifest without splits gives all of its samples.
        criterion: The rule that chooses the threshold (`facepad.metrics.parse_criterion`).
        method: ``platt`` fits slope and offset; ``temperature`` fits only the slope; ``none`` keeps the calibration.
        progress: Draw progress bars on stderr.
        notes: Notes for the threshold's origin.

    Raises:
        InputError: one class has no dev samples or no scored dev samples; the criterion is unknown; or bona fide
            samples do not have the higher scores.
    """
    parse_criterion(criterion)
    samples, source = dev_samples(manifest), manifest_words(manifest)
    scorer, before = BundleScorer(bundle), bundle.description.calibration
    score = partial(score_samples, root=manifest.parent, samples=samples)
    scored = score(LogitScorer(scorer), title="calibrating" if progress else None)
    refuse_all_unreadable(scored)
    calibration = before
    if method != "none" and (fitted := _fitted(scored.records, method, source)):
        calibration = fitted
    elif method != "none":
        worse = score(LogitScorer(scorer, degrade=True), title="degraded" if progress else None)
        calibration = _fitted_degraded(worse.records, method, source, before)
    weak = weak_notes(scored.records)
    if calibration is not before:
        calibration = calibration.model_copy(update={"notes": (*calibration.notes, *weak)})
    weak += [note for note in calibration.notes if note.kind is NoteKind.WEAK and note not in weak]
    records = with_calibration(scored.records, calibration)
    notes_of_all = [*remarks([*notes, *coverage_notes(manifest, samples)]), *weak]
    update = {
        "calibration": calibration,
        "threshold": choose_threshold(records, criterion, source=source, notes=notes_of_all),
        "presets": choose_presets(records, source=source, notes=notes_of_all),
        "facts": {name: value for name, value in bundle.description.facts.items() if name != "parity"},
    }
    described = bundle.description.model_copy(update=update)
    return Calibrated(Bundle(described, bundle.files), scored.unreadable)


def calibration_words(bundle: Bundle) -> str:
    """A model's calibration and threshold as text for a terminal."""
    found = bundle.description.calibration
    lines = [f"calibration: {found.method}"]
    if found.method != "none":
        lines[0] += f", P(bona fide) = sigmoid({found.slope:.4g} x logit {found.offset:+.4g}), on {found.source}"
        lines.append(
            f"expected calibration error on these scores: {found.ece_before:.4f} before, {found.ece_after:.4f} after"
        )
    lines += [f"note: {joined(found.notes)}"] if found.notes else []
    return "\n".join([*lines, *threshold_lines(bundle)])


def threshold_lines(bundle: Bundle) -> list[str]:
    """A model's threshold with its notes, and its presets, as lines for a terminal."""
    threshold = bundle.description.threshold
    lines = [format_threshold(threshold)] if threshold else []
    lines += [f"preset {preset}" for preset in bundle.description.presets]
    known = threshold.origin.notes if threshold else ()
    return lines + [f"note: {note}" for note in preset_notes(bundle.description.presets, known)]


def refuse_few_people(samples: Sequence[Sample], manifest: Path, doing: str) -> None:
    """Refuse dev samples of fewer than `facepad.metrics.WEAK_BELOW` people of a class.

    Args:
        samples: The dev samples.
        manifest: Their manifest.
        doing: What the samples are for, such as "calibrating".

    Raises:
        InputError: There are too few people. The message names ``--force``.
    """
    live, attacked = (len({sample.subject for sample in samples if sample.label is label}) for label in Label)
    if min(live, attacked) < WEAK_BELOW:
        raise InputError(
            f"{doing} needs at least {WEAK_BELOW} people of each class, but the dev samples of {manifest} show "
            f"{live} bona fide and {attacked} in attacks: add people, or use --force, which marks the model as weak"
        )


def with_calibration(logits: Sequence[ScoreRecord], calibration: Calibration) -> list[ScoreRecord]:
    """The records of a `LogitScorer`, with calibrated scores (P(bona fide) in [0, 1]) instead of logits."""
    return [
        record
        if record.score is None
        else replace(record, score=float(calibrated(np.array(record.score), calibration)))
        for record in logits
    ]


class LogitScorer:
    """A scorer that gives the logits of another scorer as scores, for original or degraded images.

    Args:
        scorer: The other scorer.
        degrade: Whether the images are degraded.
    """

    def __init__(self, scorer: Scorer, *, degrade: bool = False) -> None:
        self._scorer, self._degrade = scorer, degrade

    @property
    def preprocess(self) -> tuple[PreprocessSpec, ...]:
        """The preprocessing of each network's input."""
        return self._scorer.preprocess

    def prepare(self, image: NDArray[np.uint8], box: Box | None) -> Prepared:
        """The networks' input for an image with its face square, degraded if the scorer degrades."""
        prepared = self._scorer.prepare(image, box)
        return tuple(map(degraded, prepared)) if self._degrade else prepared

    def score(self, batch: Sequence[Prepared]) -> Scores:
        """The scores of a batch; values and logits are both the logits."""
        logits = self._scorer.score(batch).logits
        return Scores(logits, logits)


def degraded(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A degraded copy of a uint8 RGB crop ``(H, W, 3)``: blurred, shrunk, noised and compressed.

    The same crop always gives the same copy.
    """
    seed = zlib.crc32(crop.tobytes())
    for turn in range(_TURNS):
        crop = _DEGRADE(crop, (seed, turn), bona_fide=False)
    return crop


def _fitted(records: Sequence[ScoreRecord], method: _Fit, source: str) -> Calibration | None:
    """The calibration that fits the logits; None if the logits are separable."""
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
    text = f"weak: the calibration raised the expected calibration error from {before:.3f} to {after:.3f}"
    notes = (Note(NoteKind.WEAK, text),) if after > before + _WORSE else ()
    return line.model_copy(update={"ece_before": before, "ece_after": after, "notes": notes})


def _fitted_degraded(records: Sequence[ScoreRecord], method: _Fit, source: str, before: Calibration) -> Calibration:
    """The calibration that fits the degraded images, else the calibration ``before``, with a note."""
    try:
        found = _fitted(records, method, source)
    except MetricError:  # on strongly degraded images, bona fide samples may not have the higher scores
        found = None
    if found is not None:
        note = Note(
            NoteKind.SEPARABLE, "the dev scores are separable: the calibration was fitted to degraded dev images"
        )
        return found.model_copy(update={"notes": (note, *found.notes)})
    note = Note(
        NoteKind.SEPARABLE,
        f"the scores of {source} are separable, also on degraded images: no calibration can be fitted to them",
    )
    if before.method == "none":
        return Calibration(notes=(note,))
    if note in before.notes:
        return before
    return before.model_copy(update={"notes": (*before.notes, note, *remarks(["the calibration was not changed"]))})
