"""Evaluation: a manifest and a scorer make scores.csv; scores.csv makes the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from facepad.datasets.manifest import read_manifest, require_both_classes
from facepad.datasets.pack import refuse_narrow_crops
from facepad.errors import DatasetError, ImageError, InputError
from facepad.faces import blank_face, keep_only_face
from facepad.media.images import read_image
from facepad.metrics import (
    Aggregation,
    PadSummary,
    Rate,
    Threshold,
    best_cluster,
    check_videos,
    metrics_from_file,
    parse_criterion,
    summarize,
    to_videos,
    write_scores,
)
from facepad.modelfile.scorers import Prepared, Scorer
from facepad.runtime.parallel import map_ahead
from facepad.types import Box, Label, Sample, ScoreRecord, ScoreStatus, Split

__all__ = [
    "PROBES",
    "Evaluation",
    "Probe",
    "check_evaluation",
    "dev_samples",
    "evaluate_samples",
    "score_samples",
    "scoring_progress",
]

Image = NDArray[np.uint8]
_AHEAD = 256  # images decoded before they are needed


@dataclass(frozen=True, slots=True)
class Probe:
    """A change of the image that shows what a network looks at, and what it means."""

    name: str
    description: str
    change: Callable[[Image, Box], Image]


PROBES = (
    Probe("face blanked", "the face square is painted over: what the surroundings alone give away", blank_face),
    Probe("only face", "all but the face square is painted over: what the face alone shows", keep_only_face),
)
"""Short-cut probes: a network that looks at faces fails the first and passes the second."""


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate_samples` found.

    Attributes:
        records: One per dev and test sample, as in scores.csv.
        summary: Metrics of the test samples (or videos), at the threshold chosen on dev.
        probe_eers: EER of the test samples (or videos) under each of `PROBES`, where asked for and defined.
        unreadable: Path to reason, of images that could not be read.
    """

    records: list[ScoreRecord]
    summary: PadSummary
    probe_eers: dict[str, Rate] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def evaluate_samples(
    scorer: Scorer,
    root: Path,
    samples: Sequence[Sample],
    out: Path,
    *,
    criterion: str | float | Threshold = "eer",
    fusion: Aggregation | None = None,
    batch_size: int = 32,
    probes: bool = True,
    progress: bool = True,
) -> Evaluation:
    """Score dev and test samples, write ``scores.csv`` to ``out``, choose the threshold on dev and measure test.

    Args:
        scorer: The network.
        root: Folder that the samples' paths are relative to.
        samples: Of all splits; training samples are left out.
        out: An existing folder.
        criterion: How the threshold is chosen on dev (`facepad.metrics.parse_criterion`), or a threshold that there is
            already.
        fusion: Measure videos, and choose the threshold on videos: how the scores of a video's frames become one
            (`facepad.metrics.to_videos`). None measures single images. ``scores.csv`` holds single images either way.
        batch_size: Images per step.
        probes: Also run the two short-cut probes on the test samples.
        progress: Draw a progress bar on stderr.

    Raises:
        InputError: see `check_evaluation`.
        DatasetError: not one image can be read; nothing is written then.
        MetricError: one class has no scored images, or an unknown criterion or fusion.
    """
    wanted = [sample for sample in samples if sample.split in (Split.DEV, Split.TEST)]
    test = [sample for sample in wanted if sample.split is Split.TEST]
    check_evaluation(samples, criterion, fusion)
    unreadable: dict[str, str] = {}
    with scoring_progress(progress) as bar:
        records = score_samples(
            scorer, root, wanted, batch_size=batch_size, bar=bar, title="scoring", unreadable=unreadable
        )
        opened = [record for record in records if record.status is not ScoreStatus.NO_FACE]
        if 2 * len(opened) > len(records) and all(record.status is ScoreStatus.UNREADABLE for record in opened):
            first = next(iter(unreadable.values()))
            raise DatasetError(f"not one image can be read ({len(unreadable)}, first: {first}); did they move?")
        write_scores(out / "scores.csv", records)
        summary = metrics_from_file(out / "scores.csv", criterion, aggregation=fusion)
        eers = {}
        for probe in PROBES if probes else ():
            changed = score_samples(
                scorer, root, test, batch_size=batch_size, bar=bar, title=probe.name, change=probe.change
            )
            changed = to_videos(changed, fusion) if fusion else changed
            if len({record.label for record in changed if record.score is not None}) == len(Label):
                measured = summarize(changed, summary.threshold, cluster=best_cluster(changed), aggregation=fusion)
                eers[probe.name] = measured.rates["eer"]
    return Evaluation(records, summary, eers, unreadable)


def check_evaluation(
    samples: Sequence[Sample], criterion: str | float | Threshold, fusion: Aggregation | None = None
) -> None:
    """Refuse what `evaluate_samples` would refuse after scoring.

    Raises:
        InputError: test, or dev for a criterion that chooses there, has no images or images of one class only; or, with
            a fusion, no test sample names a video.
        ScoresError: with a fusion, a video that holds more than one kind of presentation.
        MetricError: an unknown criterion or fusion.
    """
    if fusion:
        check_videos(samples, fusion)
        if not any(sample.video for sample in samples if sample.split is Split.TEST):
            raise InputError("no test image names its video (column video): none can be measured; take --level frame")
    needs_dev = not isinstance(criterion, Threshold) and parse_criterion(criterion).name != "fixed"
    for split in (Split.TEST, Split.DEV) if needs_dev else (Split.TEST,):
        hint = f" (criterion {criterion!r} chooses there; a threshold as a number needs none, such as --criterion 0.5)"
        where = f"split '{split}'{hint if split is Split.DEV else ''}"
        require_both_classes([sample for sample in samples if sample.split is split], "evaluation", where=where)


def dev_samples(manifest: Path) -> list[Sample]:
    """The samples that choose a threshold: of dev, or all of a manifest without splits.

    Raises:
        InputError: one class has none.
    """
    samples = read_manifest(manifest)
    split = any(sample.split for sample in samples)
    dev = [sample for sample in samples if sample.split is Split.DEV or not split]
    require_both_classes(dev, "a threshold", where=f"{manifest}, split 'dev'" if split else str(manifest))
    return dev


def score_samples(
    scorer: Scorer,
    root: Path,
    samples: Sequence[Sample],
    *,
    batch_size: int = 32,
    bar: Progress | None = None,
    title: str = "scoring",
    change: Callable[[Image, Box], Image] | None = None,
    unreadable: dict[str, str] | None = None,
) -> list[ScoreRecord]:
    """One record per sample, in order; images without a face or unreadable get a status instead of a score.

    Args:
        scorer: The network; its `Scorer.prepare` prepares the images.
        root: Folder that the samples' paths are relative to.
        samples: What to score; faces are where their boxes say.
        batch_size: Images per step.
        bar: Progress display to draw on.
        title: What the bar is called.
        change: Applied to each image that has a face box, before it is prepared; the others get ``no_face``.
        unreadable: Filled with path and reason of each image that could not be read.

    Raises:
        InputError: the samples are packed in crops narrower than the network looks at.
    """
    for spec in scorer.preprocess:
        refuse_narrow_crops(root, samples, spec.reach)
    records: list[ScoreRecord] = []
    task = bar.add_task(title, total=len(samples)) if bar else None
    images = _prepared(scorer, root, samples, change)
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
                if unreadable is not None:
                    unreadable[sample.path] = str(prepared)
        if bar and task is not None:
            bar.advance(task, len(batch))
    return records


def _prepared(
    scorer: Scorer,
    root: Path,
    samples: Sequence[Sample],
    change: Callable[[Image, Box], Image] | None,
) -> Iterator[tuple[Sample, Prepared | ImageError | None]]:
    """Every sample with its decoded and cut image, the error that stopped it, or None where a face is needed."""
    needs_face = change is not None or any(spec.needs_face for spec in scorer.preprocess)

    def prepare(sample: Sample) -> tuple[Sample, Prepared | ImageError | None]:
        if needs_face and sample.box is None:
            return sample, None
        try:
            image = read_image(root / sample.path)
        except ImageError as error:
            return sample, error
        if change is not None and sample.box is not None:
            image = change(image, sample.box)
        return sample, scorer.prepare(image, sample.box)

    return map_ahead(prepare, samples, ahead=_AHEAD)


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
    )


def scoring_progress(enabled: bool) -> Progress:
    """A progress display on stderr, to be entered; nothing is drawn if it is not ``enabled``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not enabled)
