"""Evaluation of a model on a manifest, with a report folder as the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facepad.datasets import DATASETS
from facepad.datasets.manifest import manifest_hash, manifest_words, read_manifest, resolve
from facepad.datasets.origin import origin_of
from facepad.datasets.splits import spelling_notes, spellings_across_splits
from facepad.errors import InputError
from facepad.files.locks import new_folder
from facepad.media.images import read_image
from facepad.metrics import (
    Aggregation,
    NoteKind,
    Threshold,
    has_note,
    joined,
    parse_criterion,
    remarks,
    shown_frames,
    to_videos,
)
from facepad.modelfile.bundle import Bundle, Calibration
from facepad.modelfile.catalog import FoundModel, find_model
from facepad.modelfile.run_folder import RunFolder, read_epochs
from facepad.modelfile.scorers import BundleScorer
from facepad.report import DepthExample, ReportContent, ShortcutProbe, depth_examples, write_report
from facepad.report.literature import published_rows
from facepad.report.text import flatten
from facepad.types import Sample, ScoreRecord, Split
from facepad.workflow.overlap import (
    coverage_notes,
    detector_notes,
    dev_notes,
    image_files,
    measured_notes,
    origin_notes,
    threshold_notes,
)
from facepad.workflow.scoring import (
    PROBES,
    Evaluation,
    EvaluationOptions,
    check_evaluation,
    dev_samples,
    evaluate_samples,
)
from facepad.workflow.why import occlusion_pictures

__all__ = ["dev_of_run", "evaluate_model"]

_NO_LIMITS = (
    "poor faces are also scored: the limits of size, light, sharpness, border, roll and yaw in predict "
    "do not apply to these figures"
)


@dataclass(frozen=True)
class _Evaluated:
    """The evaluated model and its origin.

    Attributes:
        bundle: The model.
        title: The model's name in the report.
        criterion: The default criterion or threshold.
        notes: Notes for the reader of the report, such as test images that the model was trained on.
        facts: The report's table of facts.
        recipe: The recipe of a run; None for a model file.
        epochs: The epoch log of a run; empty for a model file.
    """

    bundle: Bundle
    title: str
    criterion: str | Threshold
    notes: list[str]
    facts: dict[str, str]
    recipe: dict[str, Any] | None = None
    epochs: Sequence[Mapping[str, Any]] = ()


def evaluate_model(
    model: str | Path,
    manifest: Path,
    out: Path,
    options: EvaluationOptions | None = None,
    *,
    thumbnails: bool = True,
    progress: bool = False,
) -> tuple[Evaluation, Path]:
    """Score a manifest's dev and test samples with a model, and write scores, metrics and report to ``out``.

    A threshold is chosen on the dev samples of `EvaluationOptions.dev` or, without this option, on the dev samples of
    ``manifest``. There is one exception: if a run is measured on another manifest than its training manifest, and the
    training manifest still exists unchanged, the threshold is chosen on the dev samples of the training manifest. A
    note names the choice.

    Args:
        model: A finished run folder, a model file, or a listed model's name.
        manifest: The manifest with the dev and test samples.
        out: New folder for ``scores.csv``, ``metrics.json``, ``report.html`` and ``report.md``.
        options: The options of the evaluation. Without a criterion, a run takes the criterion of its recipe. A model
            file takes its own threshold, which needs no dev samples; a model file without a threshold takes ``eer``.
            With `EvaluationOptions.dev`, the threshold of a model file is chosen again by the criterion of its own
            threshold.
        thumbnails: Show images in the report, such as the images with the highest losses. Images may show real people.
        progress: Draw progress bars on stderr.

    Returns:
        The evaluation, and the path of the report.

    Raises:
        InputError: the input is wrong. In this case, no file is written.
        BusyError: another process writes to ``out``.
    """
    options = options or EvaluationOptions()
    samples = read_manifest(manifest)
    found = find_model(model)
    evaluated = _evaluated(found, manifest, samples)
    options, dev_choice = _with_threshold(found, evaluated, manifest, samples, options)
    assert options.criterion is not None
    check_evaluation(samples, options.criterion, options.aggregation, options.dev, options.requirements, options.by)
    scorer = BundleScorer(evaluated.bundle)
    overlap = [*evaluated.notes, *_dev_overlap(found, evaluated.bundle, options.dev or manifest)]
    if _needs_dev(options.criterion):
        dev = options.dev or manifest
        chooses = dev_samples(dev)
        measured = image_files(manifest, [s for s in samples if s.split is Split.TEST])
        overlap += threshold_notes(manifest, measured, dev, image_files(dev, chooses))
        overlap += coverage_notes(dev, chooses, samples)
    overlap += spelling_notes(spellings_across_splits(samples))
    notes = (_NO_LIMITS, *overlap, *detector_notes(manifest, evaluated.bundle), *dev_choice)
    with new_folder(out, "evaluating"):
        evaluation = evaluate_samples(scorer, manifest.parent, samples, out, options, progress=progress)
        summary = replace(evaluation.summary, notes=(*evaluation.summary.notes, *remarks(dict.fromkeys(notes))))
        evaluation = replace(evaluation, summary=summary)
        content = _content(evaluated, manifest, evaluation, options.aggregation)
        if thumbnails:
            examples = _depth_examples(scorer, manifest, samples, evaluation, options.aggregation)
            content = replace(content, thumbnails=True, depth_examples=examples)
            if options.why:
                content = replace(content, why=occlusion_pictures(scorer, manifest, samples, content))
        return evaluation, write_report(out, content)


def _content(
    model: _Evaluated, manifest: Path, evaluation: Evaluation, aggregation: Aggregation | None
) -> ReportContent:
    """The content of the report, without images of the data."""
    origin = origin_of(manifest)
    adapter = DATASETS.find(origin.get("dataset", ""))
    dataset = adapter.published_as if adapter else None
    records = [*evaluation.dev_records, *evaluation.records]
    return ReportContent(
        title=f"{model.title} on {manifest.parent.name}/{manifest.name}",
        summary=evaluation.summary,
        records=to_videos(records, aggregation) if aggregation else records,
        threshold=evaluation.summary.threshold,
        image_root=manifest.parent,
        pictures=shown_frames(evaluation.records, aggregation) if aggregation else {},
        thumbnails=False,
        epochs=model.epochs,
        recipe=model.recipe,
        facts=model.facts | {"evaluated on": f"{manifest.name}, SHA-256 {manifest_hash(manifest)}"},
        unreadable=evaluation.unreadable,
        dataset=dataset or origin.get("dataset") or manifest.parent.resolve().name,
        protocol=origin.get("protocol"),
        probes=[
            ShortcutProbe(probe.name, probe.description, evaluation.probe_eers[probe.name])
            for probe in PROBES
            if probe.name in evaluation.probe_eers
        ],
        published=published_rows(model.recipe["published"] if model.recipe else None, dataset),
        findings=evaluation.findings,
    )


def _with_threshold(
    found: FoundModel, evaluated: _Evaluated, manifest: Path, samples: Sequence[Sample], options: EvaluationOptions
) -> tuple[EvaluationOptions, list[str]]:
    """The options, completed with the criterion and with the manifest of the dev samples, and notes on the choice."""
    own = evaluated.criterion
    if options.criterion is None and isinstance(own, Threshold):
        return _with_threshold_of_file(own, manifest, samples, options)
    options = replace(options, criterion=own if options.criterion is None else options.criterion)
    if options.dev is not None:
        return options, [f"the threshold is chosen on the dev samples of {manifest_words(options.dev)}"]
    if found.run is None or not _needs_dev(options.criterion):
        return options, []
    dev, notes = dev_of_run(found.run, manifest, samples)
    return replace(options, dev=dev), notes


def _with_threshold_of_file(
    own: Threshold, manifest: Path, samples: Sequence[Sample], options: EvaluationOptions
) -> tuple[EvaluationOptions, list[str]]:
    """The options for a model file with a threshold, and notes. Another dev set replaces the threshold of the file."""
    chosen_again = own.criterion if _needs_dev(own.criterion) else "eer"
    if options.dev is not None:
        note = f"the threshold is chosen on the dev samples of {manifest_words(options.dev)}"
        return replace(options, criterion=chosen_again), [f"{note}; the model's own threshold is not used"]
    notes = [f"the threshold is the model's own, from {own.origin.source}"]
    if options.aggregation is None or has_note(own.origin.notes, NoteKind.LEVEL):
        return replace(options, criterion=own), notes
    has_dev = any(sample.split is Split.DEV for sample in samples)
    if has_dev and _needs_dev(own.criterion) and own.origin.source == manifest_words(manifest):
        note = "the model's own threshold is for single images: the threshold for videos is chosen on the same dev set"
        return replace(options, criterion=own.criterion), [note]
    notes.append(
        "the model's threshold was chosen on single images; for a threshold on videos, use --criterion (dev videos of "
        "this manifest) or --dev MANIFEST (dev videos of another manifest)"
    )
    return replace(options, criterion=own), notes


def _dev_identity(samples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """The dev samples without the folders of their paths, sorted."""
    return sorted(
        (Path(sample.path).stem, sample.subject, sample.label, str(sample.attack_type), str(sample.video))
        for sample in samples
        if sample.split is Split.DEV
    )


def _dev_overlap(found: FoundModel, bundle: Bundle, manifest: Path) -> list[str]:
    """Notes on dev samples that a run has learnt from. The training images of a model file are not known."""
    if found.run is None:
        return []
    dev = [sample for sample in read_manifest(manifest) if sample.split is Split.DEV]
    return dev_notes(found.run, bundle, manifest, dev)


def _needs_dev(criterion: str | float | Threshold | None) -> bool:
    return (
        not isinstance(criterion, Threshold)
        and parse_criterion("eer" if criterion is None else criterion).name != "fixed"
    )


def dev_of_run(run: RunFolder, manifest: Path, samples: Sequence[Sample]) -> tuple[Path | None, list[str]]:
    """The manifest whose dev samples choose the threshold of a run, and notes on the choice.

    Args:
        run: The run folder.
        manifest: The measured manifest.
        samples: The samples of the measured manifest.

    Returns:
        The training manifest, or None for the measured manifest, and the notes. The measured manifest is used if it is
        the training manifest, or if both have the same dev samples under other paths, as in a packed copy. It is also
        used if the training manifest is missing or changed.

    Raises:
        InputError: the training manifest is missing or changed, and the measured manifest has no dev samples.
    """
    environment = run.read(run.environment_file, "manifest", "manifest_sha256")
    own, trained_on = Path(environment["manifest"]), environment["manifest_sha256"]
    if manifest_hash(manifest) == trained_on:
        return None, []
    if own.is_file() and manifest_hash(own) == trained_on:
        if _dev_identity(read_manifest(own)) == _dev_identity(samples):
            return None, []
        return own, [f"the threshold is chosen on the dev samples of the training manifest, {manifest_words(own)}"]
    lost = f"the training manifest {own} {'has changed since the training' if own.is_file() else 'is missing'}"
    if not any(sample.split is Split.DEV for sample in samples):
        raise InputError(f"{manifest} has no dev samples, and {lost}; --dev names a manifest with dev samples")
    return None, [f"the threshold is chosen on the dev samples of the measured set itself, because {lost}"]


def _evaluated(found: FoundModel, manifest: Path, samples: Sequence[Sample]) -> _Evaluated:
    bundle = found.read()
    return _of_run(found.run, bundle, manifest, samples) if found.run else _of_file(bundle, manifest)


def _of_file(bundle: Bundle, manifest: Path) -> _Evaluated:
    description = bundle.description
    known = {
        "model": ", SHA-256 ".join(filter(None, (description.name, bundle.sha256))),
        "licence": description.license,
        "scope": description.scope,
        "source": description.source,
        "calibration": _calibration_words(description.calibration),
        "network input": _inputs(bundle),
    }
    return _Evaluated(
        bundle=bundle,
        title=description.name,
        criterion=description.threshold or "eer",
        notes=origin_notes(manifest, description.facts),
        facts={name: value for name, value in (known | dict(flatten(description.facts))).items() if value},
    )


def _of_run(run: RunFolder, bundle: Bundle, manifest: Path, samples: Sequence[Sample]) -> _Evaluated:
    needed = ("command", "python", "platform", "cpu_count", "packages", "manifest_sha256")
    recipe, environment = run.read_recipe(), run.read(run.environment_file, *needed)
    weights = run.read(run.description_file, "weights_sha256")
    test = [sample for sample in samples if sample.split is Split.TEST]
    trained = bundle.description.facts
    packages = ", ".join(f"{name} {number}" for name, number in environment["packages"].items() if number)
    machine = [environment["python"], environment["platform"], f"{environment['cpu_count']} cores"]
    machine += filter(None, [environment.get("device")])  # environment files before 2026-11-26 lack this key
    return _Evaluated(
        bundle=bundle,
        title=str(trained["recipe"]),
        criterion=str(recipe["criterion"]),
        notes=measured_notes(run, manifest, test),
        facts={
            "trained with": environment["command"],
            "trained on": f"{trained['manifest']}, SHA-256 {environment['manifest_sha256']}",
            "weights": f"SHA-256 {weights['weights_sha256']}",
            "network input": _inputs(bundle),
            "packages": packages,
            "python and machine": ", ".join(machine),
        },
        recipe=recipe,
        epochs=read_epochs(run.epochs_file),
    )


def _inputs(bundle: Bundle) -> str:
    return "; ".join(str(network.preprocess.to_dict()) for network in bundle.description.networks)


def _calibration_words(calibration: Calibration) -> str:
    where = calibration.source and f"on {calibration.source}"
    return ", ".join(filter(None, (calibration.method, where, joined(calibration.notes))))


def _depth_examples(
    scorer: BundleScorer,
    manifest: Path,
    samples: Sequence[Sample],
    evaluation: Evaluation,
    aggregation: Aggregation | None,
) -> list[DepthExample]:
    """Test images, each with the depth map of the first network that predicts depth; empty without such a network.

    A video is represented by the same frame as in the rest of the report, with the decision on the video.
    """
    with_depth = [place for place, network in enumerate(scorer.bundle.description.networks) if network.output.depth]
    if not with_depth:
        return []
    known = {(sample.path, sample.frame): sample for sample in samples}
    by_path = {sample.path: sample for sample in samples}
    records = to_videos(evaluation.records, aggregation) if aggregation else evaluation.records
    shown = shown_frames(evaluation.records, aggregation) if aggregation else {}

    def predict(record: ScoreRecord) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        sample = known.get((record.path, record.frame)) or by_path[shown[record.path]]
        prepared = scorer.prepare(read_image(resolve(manifest, sample)), sample.box)
        depth = scorer.score([prepared]).depth
        assert depth is not None
        return prepared[with_depth[0]], depth[0]

    test = [record for record in records if record.split is Split.TEST]
    return depth_examples(test, evaluation.summary.threshold.value, predict)
