"""The two long jobs as a user knows them: train a recipe into a run folder, evaluate a run into a report folder."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from facepad.augment import AUGMENTATIONS
from facepad.datasets.manifest import manifest_hash, read_manifest
from facepad.errors import InputError, OutputExistsError
from facepad.evaluation import PROBES, Evaluation, evaluate_samples
from facepad.files import claim_output, write_text
from facepad.models import create_model
from facepad.preprocess import PreprocessSpec
from facepad.published import published_rows
from facepad.recipe import Recipe
from facepad.report import ReportContent, ShortcutProbe, write_report
from facepad.scorers.torch_scorer import TorchScorer
from facepad.trained import DESCRIPTION_FILE, TrainedModel, save_trained
from facepad.training import TrainingData, check_stages, check_training, fit, read_epochs, seed_everything
from facepad.types import Sample, Split

__all__ = ["evaluate_run", "train_run"]

_RECIPE_FILE = "recipe.json"
_ENVIRONMENT_FILE = "environment.json"
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
    model = create_model(recipe.model.name, weights=recipe.model.weights, **recipe.model.options())
    check_stages(model, recipe.stage_settings())
    _open_run(recipe, manifest, data_hash, out, resume)
    left_out |= fit(
        model,
        data,
        recipe.stage_settings(),
        out,
        seed=recipe.train.seed,
        batch_size=recipe.train.batch_size,
        balance_classes=recipe.train.balance_classes,
        deterministic=recipe.train.deterministic,
        precision=recipe.train.precision,
        device=device,
    )
    facts = {
        "recipe": recipe.name,
        "manifest": manifest.name,
        "manifest_sha256": data_hash,
        "train_images": len(data.train),
        "facepad": version("facepad"),
    }
    write_text(out / "left-out.json", json.dumps(left_out, indent=2, sort_keys=True) + "\n")
    save_trained(out, TrainedModel(model, recipe.model.name, recipe.model.options(), data.spec, facts))
    return left_out


def _training_data(recipe: Recipe, manifest: Path, samples: Sequence[Sample]) -> tuple[TrainingData, dict[str, str]]:
    spec = replace(recipe.preprocess.spec(), detector=_detector(manifest))
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
        augment=AUGMENTATIONS[recipe.augment.policy],
        views=recipe.augment.views,
        cache=_feature_folder(manifest.parent),
    )
    return data, left_out


def _detector(manifest: Path) -> str:
    """The detector that found the manifest's boxes, from the record that preparing left beside it."""
    record = manifest.parent / "prepare.json"
    if record.is_file():
        for run in json.loads(record.read_text(encoding="utf-8"))["runs"]:
            if manifest.name in run["manifests"]:
                return str(run["detector"])
    return PreprocessSpec().detector


def _feature_folder(folder: Path) -> Path | None:
    """Features are kept beside the manifest, where all its runs find them; in the run if that is not ours to write."""
    return folder / "features" if os.access(folder, os.W_OK) else None


def _open_run(recipe: Recipe, manifest: Path, data_hash: str, out: Path, resume: bool) -> None:
    described: dict[str, Any] = {"recipe": recipe.model_dump(mode="json"), "manifest_sha256": data_hash}
    if resume and (out / _RECIPE_FILE).is_file():
        before = json.loads((out / _RECIPE_FILE).read_text(encoding="utf-8"))
        if (out / DESCRIPTION_FILE).is_file():
            raise InputError(f"the run in {out} is finished; there is nothing to resume")
        if before["recipe"] != described["recipe"]:
            raise InputError(f"the run in {out} was begun with {_difference(before['recipe'], described['recipe'])}")
        if before["manifest_sha256"] != data_hash:
            raise InputError(f"the run in {out} was begun with another manifest than {manifest} is now")
        return
    try:
        claim_output(out)
    except OutputExistsError as error:
        unfinished = (out / _RECIPE_FILE).is_file() and not (out / DESCRIPTION_FILE).is_file()
        raise OutputExistsError(f"{error}{'; or go on with it: --resume' if unfinished else ''}") from error
    write_text(out / _ENVIRONMENT_FILE, json.dumps(_environment(manifest, data_hash), indent=2) + "\n")
    write_text(out / _RECIPE_FILE, json.dumps(described, indent=2) + "\n")


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
        batch_size: Images per step.
        probes: Also measure the two short-cut probes.
        thumbnails: Show the images with the highest losses in the report (they may be of real people).
        progress: Draw progress bars on stderr.

    Returns:
        The evaluation, and the report's path.

    Raises:
        InputError: wrong input in any of its forms.
    """
    scorer = TorchScorer.from_run(run)
    described = json.loads((run / _RECIPE_FILE).read_text(encoding="utf-8"))
    samples = read_manifest(manifest)
    claim_output(out)
    evaluation = evaluate_samples(
        scorer,
        manifest.parent,
        samples,
        out,
        criterion=criterion or described["recipe"]["criterion"],
        batch_size=batch_size,
        probes=probes,
        progress=progress,
    )
    notes = _overlap_notes(samples, described["manifest_sha256"] == manifest_hash(manifest))
    evaluation = replace(evaluation, summary=replace(evaluation.summary, notes=(*evaluation.summary.notes, *notes)))
    content = ReportContent(
        title=f"{scorer.trained.facts['recipe']} on {manifest.parent.name}/{manifest.name}",
        summary=evaluation.summary,
        records=evaluation.records,
        threshold=evaluation.summary.threshold,
        image_root=manifest.parent,
        thumbnails=thumbnails,
        epochs=read_epochs(run / "metrics.jsonl"),
        recipe=described["recipe"],
        facts=_facts(run, manifest, scorer),
        probes=[
            ShortcutProbe(probe.name, probe.description, evaluation.probe_eers[probe.name])
            for probe in PROBES
            if probe.name in evaluation.probe_eers
        ],
        published=published_rows(described["recipe"]["published"]),
    )
    return evaluation, write_report(out, content)


def _overlap_notes(samples: Sequence[Sample], trained_on_this: bool) -> list[str]:
    """Say so when subjects of the test were seen in training: such numbers flatter the network."""
    if not trained_on_this:
        return ["evaluated on another manifest than the one it was trained on"]
    subjects = {split: {sample.subject for sample in samples if sample.split is split} for split in Split}
    shared = subjects[Split.TRAIN] & subjects[Split.TEST]
    if not shared:
        return []
    total = len(subjects[Split.TEST])
    return [f"{len(shared)} of {total} test subjects also stand in train: the figures say little about new people"]


def _facts(run: Path, manifest: Path, scorer: TorchScorer) -> dict[str, str]:
    environment = json.loads((run / _ENVIRONMENT_FILE).read_text(encoding="utf-8"))
    description = json.loads((run / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    packages = ", ".join(f"{name} {number}" for name, number in environment["packages"].items() if number)
    return {
        "trained with": environment["command"],
        "trained on": f"{description['facts']['manifest']}, SHA-256 {environment['manifest_sha256']}",
        "evaluated on": f"{manifest.name}, SHA-256 {manifest_hash(manifest)}",
        "weights": f"SHA-256 {description['weights_sha256']}",
        "network input": str(scorer.preprocess.to_dict()),
        "packages": packages,
        "python and machine": f"{environment['python']}, {environment['platform']}, {environment['cpu_count']} cores",
    }
