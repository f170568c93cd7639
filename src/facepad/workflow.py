"""The two long jobs as a user knows them: train a recipe into a run folder, evaluate a run into a report folder."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facepad.catalog.start import starting_network
from facepad.datasets.manifest import manifest_hash, read_manifest, resolve
from facepad.datasets.prepare import origin_of
from facepad.depth import DepthMaps, load_depth
from facepad.errors import InputError, ModelError, OutputExistsError
from facepad.evaluation import PROBES, Evaluation, check_evaluation, evaluate_samples
from facepad.files import claim_output, write_text
from facepad.images import read_image
from facepad.metrics import Fusion, shown_frames, to_videos
from facepad.preprocess import PreprocessSpec
from facepad.published import published_rows
from facepad.recipe import Recipe
from facepad.report import DepthExample, ReportContent, ShortcutProbe, depth_examples, write_report
from facepad.scorers import Scorer
from facepad.scorers.run_scorer import run_scorer
from facepad.trained import DESCRIPTION_FILE, TrainedModel, load_trained, save_trained
from facepad.training import TrainingData, check_stages, check_training, fit, read_epochs, seed_everything
from facepad.types import Sample, ScoreRecord, Split

__all__ = ["evaluate_run", "train_run"]

_RECIPE_FILE = "recipe.json"
_ENVIRONMENT_FILE = "environment.json"
_SAMPLES_FILE = "samples.json"
#: Data sets as the papers' tables name them.
_PUBLISHED_NAMES = {"nuaa": "NUAA", "casia-mfsd": "CASIA-MFSD", "replay-attack": "Replay-Attack"}
_PACKAGES = ("facepad", "torch", "lightning", "numpy", "opencv-python-headless", "pillow", "dlib-bin")


def train_run(
    recipe: Recipe,
    manifest: Path,
    out: Path,
    *,
    resume: bool = False,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
) -> dict[str, str]:
    """Train ``recipe`` on a manifest's train and dev samples into the run folder ``out``.

    Args:
        recipe: What to train.
        manifest: The data; its test samples are not touched.
        out: New run folder; with ``resume`` an unfinished one of the same recipe and data.
        resume: Go on with an unfinished run.
        device: Where to train.

    Returns:
        Training images left out: path to reason (unreadable, no face).

    Raises:
        InputError: wrong input in any of its forms; nothing is written then.
    """
    samples = read_manifest(manifest)
    data_hash = manifest_hash(manifest)
    data, left_out = _training_data(recipe, manifest, samples)
    check_training(data, device)
    seed_everything(recipe.train.seed)
    model, start = starting_network(recipe.model.name, recipe.model.weights, recipe.model.options())
    check_stages(model, recipe.stage_settings())
    if "depth" in model.outputs:
        data, without = _with_depth(data, load_depth(manifest, [*data.train, *data.dev], recipe.depth.engine))
        left_out |= without
    labels = data.depth.identity if data.depth else None
    fresh = _open_run(recipe, manifest, data_hash, labels, out, resume)
    _write_json(out / _SAMPLES_FILE, _samples_of(manifest, data))
    try:
        left_out |= fit(
            model,
            data,
            recipe.stage_settings(),
            out,
            seed=recipe.train.seed,
            batch_size=recipe.train.batch_size,
            balance_classes=recipe.train.balance_classes,
            depth_loss=recipe.depth.loss(),
            deterministic=recipe.train.deterministic,
            precision=recipe.train.precision,
            device=device,
        )
    except InputError:  # of the images: nothing was learnt that would be worth resuming
        if fresh and not any((out / "checkpoints").rglob("*.*")):
            shutil.rmtree(out)
        raise
    facts = {
        "recipe": recipe.name,
        "manifest": manifest.name,
        "manifest_sha256": data_hash,
        "train_images": len(data.train),
        "depth_labels": labels,
        "start": start,
        "facepad": version("facepad"),
    }
    _write_json(out / "left-out.json", left_out)
    save_trained(out, TrainedModel(model, recipe.model.name, recipe.model.options(), data.spec, facts))
    return left_out


def _training_data(recipe: Recipe, manifest: Path, samples: Sequence[Sample]) -> tuple[TrainingData, dict[str, str]]:
    spec = replace(recipe.preprocess.spec(), detector=origin_of(manifest).get("detector", PreprocessSpec().detector))
    usable = [sample for sample in samples if sample.box is not None or not spec.needs_face]
    left_out = {
        sample.path: "no face"
        for sample in samples
        if sample.box is None and spec.needs_face and sample.split is not Split.TEST
    }
    parts = {split: [sample for sample in usable if sample.split is split] for split in (Split.TRAIN, Split.DEV)}
    for split, part in parts.items():
        if not part:
            boxless = f"; {len(left_out)} have no face box: facepad data prepare manifest {manifest} OUT finds them"
            hint = boxless if left_out else ""
            raise InputError(f"{manifest} has no usable samples in split '{split}', training needs train and dev{hint}")
    data = TrainingData(
        root=manifest.parent,
        train=parts[Split.TRAIN],
        dev=parts[Split.DEV],
        spec=spec,
        augment=recipe.augment.augmentation(),
        views=recipe.augment.views,
        cache=_feature_folder(manifest.parent),
    )
    return data, left_out


def _with_depth(data: TrainingData, depth: DepthMaps) -> tuple[TrainingData, dict[str, str]]:
    """The data that has depth maps, and what has none (bona fide images without a face, or unreadable)."""
    without = {sample.path: "no depth map" for sample in (*data.train, *data.dev) if sample not in depth}
    train, dev = ([sample for sample in part if sample in depth] for part in (data.train, data.dev))
    return replace(data, depth=depth, train=train, dev=dev), without


def _samples_of(manifest: Path, data: TrainingData) -> dict[str, dict[str, list[str]]]:
    """What the network saw, so that an evaluation on any manifest can tell what it was tuned on."""
    return {
        str(split): {
            "images": sorted(os.path.realpath(resolve(manifest, sample)) for sample in part),
            "subjects": sorted({sample.subject for sample in part}),
        }
        for split, part in ((Split.TRAIN, data.train), (Split.DEV, data.dev))
    }


def _write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def _feature_folder(folder: Path) -> Path | None:
    """Features are kept beside the manifest, where all its runs find them; in the run if that is not ours to write."""
    return folder / "features" if os.access(folder, os.W_OK) else None


def _open_run(recipe: Recipe, manifest: Path, data_hash: str, depth: str | None, out: Path, resume: bool) -> bool:
    """Begin a run folder (True) or go on with one (False)."""
    described: dict[str, Any] = {"recipe": recipe.model_dump(mode="json"), "manifest_sha256": data_hash, "depth": depth}
    if resume and (out / _RECIPE_FILE).is_file():
        before = json.loads((out / _RECIPE_FILE).read_text(encoding="utf-8"))
        if (out / DESCRIPTION_FILE).is_file():
            raise InputError(f"the run in {out} is finished; there is nothing to resume")
        if before["recipe"] != described["recipe"]:
            raise InputError(f"the run in {out} was begun with {_difference(before['recipe'], described['recipe'])}")
        if before["manifest_sha256"] != data_hash:
            raise InputError(f"the run in {out} was begun with another manifest than {manifest} is now")
        if before["depth"] != depth:
            raise InputError(f"the run in {out} was begun with depth labels by {before['depth']}, not by {depth}")
        return False
    try:
        claim_output(out)
    except OutputExistsError as error:
        unfinished = (out / _RECIPE_FILE).is_file() and not (out / DESCRIPTION_FILE).is_file()
        raise OutputExistsError(f"{error}{'; or go on with it: --resume' if unfinished else ''}") from error
    write_text(out / _ENVIRONMENT_FILE, json.dumps(_environment(manifest, data_hash), indent=2) + "\n")
    write_text(out / _RECIPE_FILE, json.dumps(described, indent=2) + "\n")
    return True


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first key whose value changed, in words."""
    for key, value in before.items():
        if value != now.get(key):
            if isinstance(value, dict):
                return f"{key}.{_difference(value, now[key])}"
            return f"{key} = {json.dumps(value)}, not {json.dumps(now.get(key))}"
    return "another recipe"


def _environment(manifest: Path, data_hash: str) -> dict[str, Any]:
    return {
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "packages": {name: _installed(name) for name in _PACKAGES},
        "manifest": str(manifest),
        "manifest_sha256": data_hash,
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def evaluate_run(
    run: Path,
    manifest: Path,
    out: Path,
    *,
    criterion: str | None = None,
    fusion: Fusion | None = None,
    batch_size: int = 32,
    probes: bool = True,
    thumbnails: bool = True,
    progress: bool = True,
) -> tuple[Evaluation, Path]:
    """Score a manifest's dev and test samples with a run's network; write scores, metrics and report to ``out``.

    Args:
        run: A finished run folder.
        manifest: The data to evaluate on.
        out: New folder for ``scores.csv``, ``metrics.json`` and ``report.html``.
        criterion: How the threshold is chosen on dev; None takes the recipe's.
        fusion: Measure videos: how the scores of a video's frames become one; None measures single images.
        batch_size: Images per step.
        probes: Also measure the two short-cut probes.
        thumbnails: Show the images with the highest losses in the report (they may be of real people).
        progress: Draw progress bars on stderr.

    Returns:
        The evaluation, and the report's path.

    Raises:
        InputError: wrong input in any of its forms.
    """
    trained = load_trained(run)
    scorer = run_scorer(trained)
    described, seen, facts = (_read_json(run / name) for name in (_RECIPE_FILE, _SAMPLES_FILE, _ENVIRONMENT_FILE))
    samples = read_manifest(manifest)
    criterion = criterion or described["recipe"]["criterion"]
    check_evaluation(samples, criterion, fusion)
    notes = [*_overlap_notes(manifest, samples, seen), *_detector_notes(manifest, trained.preprocess)]
    claim_output(out)
    evaluation = evaluate_samples(
        scorer,
        manifest.parent,
        samples,
        out,
        criterion=criterion,
        fusion=fusion,
        batch_size=batch_size,
        probes=probes,
        progress=progress,
    )
    evaluation = replace(evaluation, summary=replace(evaluation.summary, notes=(*evaluation.summary.notes, *notes)))
    content = ReportContent(
        title=f"{trained.facts['recipe']} on {manifest.parent.name}/{manifest.name}",
        summary=evaluation.summary,
        records=to_videos(evaluation.records, fusion) if fusion else evaluation.records,
        threshold=evaluation.summary.threshold,
        image_root=manifest.parent,
        pictures=shown_frames(evaluation.records, fusion) if fusion else {},
        thumbnails=thumbnails,
        epochs=read_epochs(run / "metrics.jsonl"),
        recipe=described["recipe"],
        facts=_facts(facts, manifest, trained),
        unreadable=evaluation.unreadable,
        dataset=_PUBLISHED_NAMES.get(origin_of(manifest).get("dataset", "")),
        depth_examples=_depth_examples(scorer, manifest, samples, evaluation)
        if thumbnails and "depth" in trained.network.outputs
        else (),
        probes=[
            ShortcutProbe(probe.name, probe.description, evaluation.probe_eers[probe.name])
            for probe in PROBES
            if probe.name in evaluation.probe_eers
        ],
        published=published_rows(described["recipe"]["published"]),
    )
    return evaluation, write_report(out, content)


def _depth_examples(
    scorer: Scorer, manifest: Path, samples: Sequence[Sample], evaluation: Evaluation
) -> list[DepthExample]:
    """Test images beside the depth that the network sees in them."""
    known = {(sample.path, sample.frame): sample for sample in samples}

    def predict(record: ScoreRecord) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        sample = known[record.path, record.frame]
        prepared = scorer.prepare(read_image(resolve(manifest, sample)), sample.box)
        depth = scorer.score([prepared]).depth
        assert depth is not None
        return prepared[0], depth[0]

    test = [record for record in evaluation.records if record.split is Split.TEST]
    return depth_examples(test, evaluation.summary.threshold.value, predict)


def _read_json(path: Path) -> Any:
    """A file of a run folder.

    Raises:
        ModelError: it is missing or broken; the run is not finished, or not whole.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.parent} is not a whole run folder: {path.name} cannot be read") from error


def _overlap_notes(manifest: Path, samples: Sequence[Sample], seen: Mapping[str, Any]) -> list[str]:
    """Say so when images or subjects of the test were seen in training: such numbers flatter the network."""
    test = [sample for sample in samples if sample.split is Split.TEST]
    paths = {os.path.realpath(resolve(manifest, sample)) for sample in test}
    subjects = {sample.subject for sample in test}
    notes = []
    for split, done in ((Split.TRAIN, "learnt from"), (Split.DEV, "watched in training")):
        if shared := paths.intersection(seen[split]["images"]):
            notes.append(f"{len(shared)} of {len(paths)} test images were {done}: the figures flatter the network")
    dev = {os.path.realpath(resolve(manifest, sample)) for sample in samples if sample.split is Split.DEV}
    if shared := dev.intersection(seen[Split.TRAIN]["images"]):
        notes.append(
            f"{len(shared)} of {len(dev)} dev images were learnt from: the threshold that they choose may not hold"
        )
    if shared := subjects.intersection(seen[Split.TRAIN]["subjects"]):
        notes.append(
            f"{len(shared)} of {len(subjects)} test subjects have names that also stand in training: "
            "the figures say little about new people"
        )
    return notes


def _detector_notes(manifest: Path, spec: PreprocessSpec) -> list[str]:
    detector = origin_of(manifest).get("detector")
    if not spec.needs_face or detector in (None, spec.detector):
        return []
    return [f"faces were found by {detector}, the network learnt on faces found by {spec.detector}"]


def _facts(environment: Mapping[str, Any], manifest: Path, trained: TrainedModel) -> dict[str, str]:
    packages = ", ".join(f"{name} {number}" for name, number in environment["packages"].items() if number)
    return {
        "trained with": environment["command"],
        "trained on": f"{trained.facts['manifest']}, SHA-256 {environment['manifest_sha256']}",
        "evaluated on": f"{manifest.name}, SHA-256 {manifest_hash(manifest)}",
        "weights": f"SHA-256 {trained.weights_sha256}",
        "network input": str(trained.preprocess.to_dict()),
        "packages": packages,
        "python and machine": f"{environment['python']}, {environment['platform']}, {environment['cpu_count']} cores",
    }
