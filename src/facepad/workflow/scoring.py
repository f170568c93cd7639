"""Evaluation of a scorer: it scores samples, writes scores.csv and computes metrics of the scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import read_manifest, require_both_classes
from facepad.datasets.pack import refuse_narrow_crops
from facepad.errors import DatasetError, ImageError, InputError
from facepad.faces import blank_face, keep_only_face, read_with_box
from facepad.media.images import read_image
from facepad.metrics import (
    Aggregation,
    Finding,
    PadSummary,
    Rate,
    Requirement,
    Threshold,
    check_columns,
    check_requirements,
    check_videos,
    parse_criterion,
    refuse_frames,
    summarize,
    to_videos,
    with_groups,
    write_scores,
)
from facepad.metrics.from_file import measured_file
from facepad.metrics.levels import with_shared_attributes
from facepad.modelfile.scorers import Prepared, Scorer
from facepad.runtime.parallel import map_ahead
from facepad.runtime.progress import progress_bar
from facepad.types import Box, Label, Sample, ScoreRecord, ScoreStatus, Split

__all__ = [
    "DEV_SCORES_FILE",
    "PROBES",
    "SCORES_FILE",
    "Evaluation",
    "EvaluationOptions",
    "Probe",
    "ScoredSamples",
    "check_evaluation",
    "dev_samples",
    "evaluate_samples",
    "refuse_all_unreadable",
    "score_samples",
]

Image = NDArray[np.uint8]

SCORES_FILE = "scores.csv"
"""File name of the scores of an evaluated manifest."""

DEV_SCORES_FILE = "dev-scores.csv"
"""File name of the scores of another manifest, whose dev samples choose the threshold."""

#: The number of images that are decoded ahead of the network.
_DECODED_AHEAD = 256


@dataclass(frozen=True, slots=True)
class Probe:
    """A change of the image; the scores of changed images tell which part of an image the network uses.

    Attributes:
        name: The name of the probe in reports.
        description: The change, and the meaning of the result.
        change: A function that gets a uint8 RGB image ``(H, W, 3)`` and its face square, and returns the changed image.
    """

    name: str
    description: str
    change: Callable[[Image, Box], Image]


PROBES = (
    Probe("face blanked", "the face square is painted over: the network sees only the surroundings", blank_face),
    Probe("only face", "all but the face square is painted over: the network sees only the face", keep_only_face),
)
"""The short-cut probes.

A network that uses only the face has an EER near 50 % with the face blanked, and a low EER with only the face.
"""


@dataclass(frozen=True)
class ScoredSamples:
    """The result of `score_samples`.

    Attributes:
        records: One record per sample, in the order of the samples.
        unreadable: Path -> reason, for each image that could not be read.
    """

    records: list[ScoreRecord]
    unreadable: dict[str, str]


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """The options of an evaluation.

    Attributes:
        criterion: The rule that chooses the threshold on dev (`facepad.metrics.parse_criterion`), or a threshold, which
            needs no dev samples. None takes the default of the evaluating function.
        aggregation: The rule that turns the scores of a video's frames into one score of the video
            (`facepad.metrics.to_videos`). The threshold is then chosen on videos, and the metrics are those of videos.
            None evaluates single images.
        batch_size: Images per batch.
        probes: Whether the test samples are also scored under the short-cut probes.
        dev: Another manifest, whose dev samples choose the threshold. A manifest without splits gives all of its
            samples. None takes the dev samples of the evaluated manifest.
        requirements: Requirements to hold against the decisions on the test samples.
        why: Whether the report shows an occlusion map beside each image with a high loss.
        by: The attributes whose groups are measured (`facepad.metrics.with_groups`).
    """

    criterion: str | float | Threshold | None = None
    aggregation: Aggregation | None = None
    batch_size: int = 32
    probes: bool = True
    dev: Path | None = None
    requirements: tuple[Requirement, ...] = ()
    why: bool = False
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate_samples`.

    Attributes:
        records: One record per dev and test sample, as in scores.csv.
        summary: The metrics of the test samples (or videos) at the threshold.
        dev_records: One record per dev sample of another manifest (`EvaluationOptions.dev`), as in dev-scores.csv;
            empty without another manifest.
        probe_eers: Probe name -> EER of the test samples (or videos) under this probe. A probe with an undefined EER is
            left out.
        unreadable: Path -> reason, for each image that could not be read.
        findings: The findings on `EvaluationOptions.requirements`.
    """

    records: list[ScoreRecord]
    summary: PadSummary
    dev_records: list[ScoreRecord] = field(default_factory=list)
    probe_eers: dict[str, Rate] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def evaluate_samples(
    scorer: Scorer,
    root: Path,
    samples: Sequence[Sample],
    out: Path,
    options: EvaluationOptions | None = None,
    *,
    progress: bool = False,
) -> Evaluation:
    """Score dev and test samples, write ``scores.csv`` to ``out``, choose the threshold on dev and measure test.

    If the threshold is chosen on another manifest (`EvaluationOptions.dev`), ``scores.csv`` holds only the test
    samples, and ``dev-scores.csv`` holds the dev samples of the other manifest.

    Args:
        scorer: The network.
        root: The folder that the samples' paths are relative to.
        samples: Samples of all splits; training samples are left out.
        out: An existing folder. Its ``scores.csv`` holds single images, even if videos are evaluated.
        options: The options of the evaluation. The default criterion is ``eer``.
        progress: Draw progress bars on stderr.

    Raises:
        InputError: see `check_evaluation`.
        DatasetError: none of the images can be read. Then no file is written.
        MetricError: one class has no scored images, or the criterion or aggregation is unknown.
    """
    options = options or EvaluationOptions()
    criterion = "eer" if options.criterion is None else options.criterion
    check_evaluation(samples, criterion, options.aggregation, options.dev, options.requirements, options.by)
    dev = _score_dev(scorer, options, out, progress) if options.dev else None
    splits = (Split.TEST,) if dev else (Split.DEV, Split.TEST)
    wanted = [sample for sample in samples if sample.split in splits]
    title = "scoring" if progress else None
    scored = score_samples(scorer, root, wanted, batch_size=options.batch_size, title=title)
    refuse_all_unreadable(scored)
    write_scores(out / SCORES_FILE, scored.records)
    dev_file = out / DEV_SCORES_FILE if dev else None
    summary, parts = measured_file(out / SCORES_FILE, criterion, dev=dev_file, aggregation=options.aggregation)
    summary = with_groups(summary, parts.measured, options.by)
    findings = check_requirements(parts.measured, summary.threshold, options.requirements)
    eers = {}
    test = [sample for sample in wanted if sample.split is Split.TEST]
    for probe in PROBES if options.probes else ():
        title = probe.name if progress else None
        changed = score_samples(
            scorer, root, test, change=probe.change, batch_size=options.batch_size, title=title
        ).records
        if (eer := _eer(changed, summary.threshold, options.aggregation)) is not None:
            eers[probe.name] = eer
    dev = dev or ScoredSamples([], {})
    return Evaluation(scored.records, summary, dev.records, eers, dev.unreadable | scored.unreadable, findings)


def _score_dev(scorer: Scorer, options: EvaluationOptions, out: Path, progress: bool) -> ScoredSamples:
    """Score the dev samples of another manifest, and write ``dev-scores.csv``."""
    assert options.dev is not None
    title = "scoring dev" if progress else None
    samples = dev_samples(options.dev)
    scored = score_samples(scorer, options.dev.parent, samples, batch_size=options.batch_size, title=title)
    refuse_all_unreadable(scored)
    write_scores(out / DEV_SCORES_FILE, scored.records)
    return scored


def refuse_all_unreadable(scored: ScoredSamples) -> None:
    """Refuse scored samples of which no image could be read.

    Raises:
        DatasetError: none of the images can be read with its box. The folder was probably moved, or the boxes are of
            images of another size.
    """
    tried = [record for record in scored.records if record.status is not ScoreStatus.NO_FACE]
    # An image without a face box is not opened. If most images have no box, the others do not prove a moved folder.
    if 2 * len(tried) > len(scored.records) and all(record.status is ScoreStatus.UNREADABLE for record in tried):
        first = next(iter(scored.unreadable.values()))
        raise DatasetError(
            f"not one image can be used ({len(scored.unreadable)}, first: {first}); was the folder moved, or are the "
            "boxes of images of another size?"
        )


def _eer(records: list[ScoreRecord], threshold: Threshold, aggregation: Aggregation | None) -> Rate | None:
    """The EER of the images, or with an aggregation of the videos; None if a class has no scores."""
    records = to_videos(records, aggregation) if aggregation else records
    if len({record.label for record in records if record.score is not None}) < len(Label):
        return None
    return summarize(records, threshold, aggregation=aggregation).rates["eer"]


def check_evaluation(
    samples: Sequence[Sample],
    criterion: str | float | Threshold,
    aggregation: Aggregation | None = None,
    dev: Path | None = None,
    requirements: Sequence[Requirement] = (),
    by: Sequence[str] = (),
) -> None:
    """Check samples and options before an evaluation, so that errors appear before the slow scoring.

    Args:
        samples: The samples of the evaluated manifest.
        criterion: The rule that chooses the threshold, or a threshold.
        aggregation: The aggregation of a video's frames; None evaluates single images.
        dev: Another manifest, whose dev samples choose the threshold.
        requirements: Requirements to hold against the decisions on the test samples.
        by: The attributes whose groups are measured.

    Raises:
        InputError: the test split lacks images of one class; the criterion needs dev samples, and these lack images of
            one class; the criterion is a threshold, and ``dev`` is given too; or videos are evaluated, but the test
            samples do not name their videos.
        ScoresError: videos are evaluated, and a video holds more than one kind of presentation.
        MetricError: the criterion or aggregation is unknown, requirements are given for single frames of videos, or an
            attribute is absent, constant or nearly empty in the test samples.
    """
    test = [sample for sample in samples if sample.split is Split.TEST]
    check_columns(with_shared_attributes(test) if aggregation else test, by)
    if aggregation:
        check_videos(samples, aggregation)
        if not any(sample.video for sample in samples if sample.split is Split.TEST):
            raise InputError(
                "no test image has a value in the column video, so no video can be evaluated; use --level frame"
            )
    elif requirements:
        refuse_frames(sample for sample in samples if sample.split is Split.TEST)
    needs_dev = not isinstance(criterion, Threshold) and parse_criterion(criterion).name != "fixed"
    if dev is not None:
        if not needs_dev:
            raise InputError(f"{dev} would choose the threshold, but the threshold is given as a number: {criterion}")
        dev_of_other = dev_samples(dev)
        if aggregation:
            check_videos(dev_of_other, aggregation)
    for split in (Split.TEST, Split.DEV) if needs_dev and dev is None else (Split.TEST,):
        hint = (
            f" (criterion {criterion!r} chooses the threshold on dev; --dev takes the dev samples of another manifest, "
            "and a number needs no dev, as in --criterion 0.5)"
        )
        where = f"split '{split}'{hint if split is Split.DEV else ''}"
        require_both_classes([sample for sample in samples if sample.split is split], "evaluation", where=where)


def dev_samples(manifest: Path) -> list[Sample]:
    """The samples on which a threshold is chosen: the dev samples, or all samples of a manifest without splits.

    Raises:
        InputError: one class has no samples.
    """
    samples = read_manifest(manifest)
    has_splits = any(sample.split for sample in samples)
    dev = [sample for sample in samples if sample.split is Split.DEV or not has_splits]
    require_both_classes(dev, "a threshold", where=f"{manifest}, split 'dev'" if has_splits else str(manifest))
    return dev


def score_samples(
    scorer: Scorer,
    root: Path,
    samples: Sequence[Sample],
    *,
    change: Callable[[Image, Box], Image] | None = None,
    batch_size: int = 32,
    title: str | None = None,
) -> ScoredSamples:
    """Score samples. An image that is unreadable, has no face box, or has a box that does not fit it gets no score.

    Args:
        scorer: The network.
        root: The folder that the samples' paths are relative to.
        samples: The samples with their face boxes.
        change: A function that changes each image before preprocessing. An image without a face box then gets
            ``no_face``.
        batch_size: Images per batch.
        title: The title of a progress bar on stderr; None draws no bar.

    Raises:
        InputError: the samples are packed as crops that are smaller than the crop of a network.
    """
    for spec in scorer.preprocess:
        refuse_narrow_crops(root, samples, spec.reach)
    records: list[ScoreRecord] = []
    unreadable: dict[str, str] = {}
    images = _preprocessed(scorer, root, samples, change)
    with progress_bar(title or "", len(samples), shown=title is not None) as advance:
        while batch := list(islice(images, batch_size)):
            crops = [prepared for _, prepared in batch if isinstance(prepared, tuple)]
            scores = iter(scorer.score(crops).values if crops else ())
            for sample, prepared in batch:
                if isinstance(prepared, tuple):
                    records.append(_record(sample, ScoreStatus.SCORED, float(next(scores))))
                elif prepared is None:
                    records.append(_record(sample, ScoreStatus.NO_FACE, None))
                else:
                    records.append(_record(sample, ScoreStatus.UNREADABLE, None))
                    unreadable[sample.path] = str(prepared)
            advance(len(batch))
    return ScoredSamples(records, unreadable)


def _preprocessed(
    scorer: Scorer,
    root: Path,
    samples: Sequence[Sample],
    change: Callable[[Image, Box], Image] | None,
) -> Iterator[tuple[Sample, Prepared | ImageError | None]]:
    """Each sample with the networks' input, the error of an unreadable image, or None for a missing face box."""
    needs_face = change is not None or any(spec.needs_face for spec in scorer.preprocess)

    def prepare(sample: Sample) -> tuple[Sample, Prepared | ImageError | None]:
        if needs_face and sample.box is None:
            return sample, None
        try:
            path = root / sample.path
            image = read_with_box(path, sample) if needs_face else read_image(path)
        except ImageError as error:
            return sample, error
        if change is not None and sample.box is not None:
            image = change(image, sample.box)
        return sample, scorer.prepare(image, sample.box)

    return map_ahead(prepare, samples, ahead=_DECODED_AHEAD)


def _record(sample: Sample, status: ScoreStatus, score: float | None) -> ScoreRecord:
    return ScoreRecord(
        path=sample.path,
        subject=sample.subject,
        video=sample.video,
        frame=sample.frame,
        label=sample.label,
        attack_type=sample.attack_type,
        split=sample.split,
        status=status,
        score=score,
        attributes=sample.attributes,
    )
