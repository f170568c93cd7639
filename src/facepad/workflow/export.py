"""Exporting a run: it becomes a model file, with a report on how far the decisions changed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from facepad.datasets.manifest import manifest_hash, manifest_words, read_manifest
from facepad.errors import InputError, MetricError, OutputExistsError, RunError
from facepad.export.openvino import to_openvino
from facepad.export.parity import Parity, Precision, Scored, compare_variants, write_parity
from facepad.modelfile.bundle import CARD, Bundle, write_bundle
from facepad.modelfile.run_folder import RunFolder
from facepad.modelfile.runs import TrainedModel, load_trained
from facepad.modelfile.scorers import BundleScorer, Scorer
from facepad.modelfile.scorers.run_scorer import EagerScorer, bundle_of
from facepad.runtime.inference import EngineName, import_openvino
from facepad.types import Label, Sample, Split
from facepad.workflow.calibrate import LogitScorer, calibrate_bundle, with_calibration
from facepad.workflow.overlap import dev_notes, measured_notes
from facepad.workflow.quantisation import quantisation_images, quantised
from facepad.workflow.scoring import dev_samples, score_samples
from facepad.workflow.versions import installed_versions

__all__ = ["ExportOptions", "Exported", "Wording", "export_run"]

_PACKAGES = ("facepad", "torch", "onnx", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Wording:
    """What a model file says of itself in words; empty is left out.

    Attributes:
        name: Name of the model; empty takes the run folder's.
        license: SPDX expression or short text.
        scope: What the model may be used for, in a line that every user sees.
        card: The model card, Markdown.
    """

    name: str = ""
    license: str = ""
    scope: str = ""
    card: str = ""


@dataclass(frozen=True)
class ExportOptions:
    """What kind of model file a run becomes.

    Attributes:
        format: The format of its network.
        quantise_on: The manifest whose train images show a quantised network how large its activations become: weights
            and activations then have 8 bits. None keeps floats of 32 bits.
        threshold: Whether the model keeps its threshold.
        force: Write the file although parity failed, or although there is no manifest to measure 8 bits on.
    """

    format: Literal["onnx", "openvino"] = "onnx"
    quantise_on: Path | None = None
    threshold: bool = True
    force: bool = False


@dataclass(frozen=True)
class Exported:
    """What `export_run` made.

    Attributes:
        bundle: The model as written.
        parity: How far its decisions are from the trained network's; None without a manifest.
        files: All written files, the model first.
        note: Why there is no calibration, threshold and parity; empty when there are.
        warnings: What else a user must know, such as dev and test images that the network was trained on.
        unreadable: The images that could not be read: path to reason.
    """

    bundle: Bundle
    parity: Parity | None
    files: tuple[Path, ...]
    note: str = ""
    warnings: tuple[str, ...] = ()
    unreadable: dict[str, str] = field(default_factory=dict)


def export_run(
    run: Path,
    out: Path,
    options: ExportOptions | None = None,
    *,
    manifest: Path | None = None,
    wording: Wording | None = None,
    progress: bool = False,
) -> Exported:
    """Write a run's network as a model file, calibrated, with its threshold, and measured against the network.

    The file also holds the run's weights, so that training can go on from it.

    Args:
        run: A finished run folder.
        out: The new model file; ``NAME.parity.json`` and ``NAME.parity.md`` are written beside it.
        options: The kind of model file.
        manifest: Its dev samples calibrate, and choose the threshold by the recipe's criterion; parity is measured on
            its test samples (on dev if it has none). None takes the manifest of the training, if it still is where it
            was and unchanged; otherwise the model has no calibration and no threshold.
        wording: What the file says of itself.
        progress: Draw progress bars on stderr.

    Raises:
        InputError: the input is wrong in any way; nothing is written then.
        RunError: parity failed (32 bit floats: a score further than 1e-4 from the network's; 8 bits: ACER or EER more
            than 0.2 points higher, or an instrument's APCER beyond its interval); nothing is written then.
    """
    options = options or ExportOptions()
    if out.exists():
        raise OutputExistsError(f"{out} exists already; choose another file, or remove it first")
    if options.format == "openvino":
        import_openvino()
    source = _Source(RunFolder(run), load_trained(run), progress)
    manifest, note = (manifest, "") if manifest else _trained_manifest(source.run)
    if manifest:
        dev_samples(manifest)
    elif options.quantise_on and not options.force:
        raise InputError(f"8 bits are not written unmeasured: {note} (--force writes them all the same)")
    made = _build(source, options)
    if manifest:
        made = _measure(source, made, manifest, options)
    bundle = _described(source, made, wording or Wording(), options)
    files = [write_bundle(out, bundle)]
    if made.parity:
        files += write_parity(out, made.parity, forced=bool(made.parity.failures))
    return Exported(bundle, made.parity, tuple(files), note, made.warnings, made.unreadable)


@dataclass(frozen=True)
class _Source:
    """What is exported."""

    run: RunFolder
    trained: TrainedModel
    progress: bool


@dataclass(frozen=True)
class _Made:
    """The model on its way into the file: the network as trained, the one that is written, and what was measured."""

    plain: Bundle
    written: Bundle
    parity: Parity | None = None
    warnings: tuple[str, ...] = ()
    unreadable: dict[str, str] = field(default_factory=dict)


def _trained_manifest(run: RunFolder) -> tuple[Path | None, str]:
    """The manifest of the training, or why it cannot serve."""
    environment = run.read(run.environment_file)
    path = Path(environment["manifest"])
    lacks = "exported without calibration, threshold and parity: the manifest of the training"
    if not path.is_file():
        return None, f"{lacks} is not at {path} any more; --manifest names another"
    if manifest_hash(path) != environment["manifest_sha256"]:
        return None, f"{lacks}, {path}, was changed since; --manifest takes it all the same"
    return path, ""


def _build(source: _Source, options: ExportOptions) -> _Made:
    """The network as a graph, in the format and precision of the file."""
    plain = bundle_of(source.trained, name=source.run.path.name)
    written, unreadable = plain, dict[str, str]()
    if options.quantise_on:
        images = quantisation_images(options.quantise_on, source.trained.preprocess)
        written, unreadable = quantised(plain, images.crops), images.unreadable
    if options.format == "openvino":
        written = _in_openvino(written)
    return _Made(plain, written, unreadable=unreadable)


def _in_openvino(bundle: Bundle) -> Bundle:
    [(name, graph)] = bundle.files.items()
    xml, weights = to_openvino(graph)
    files = {f"{Path(name).stem}.xml": xml, f"{Path(name).stem}.bin": weights}
    network = bundle.description.networks[0].model_copy(update={"files": tuple(files)})
    return Bundle(bundle.description.model_copy(update={"networks": (network,)}), files)


def _measure(source: _Source, made: _Made, manifest: Path, options: ExportOptions) -> _Made:
    """Both networks calibrated, with their thresholds, and how far their decisions are apart.

    Raises:
        RunError: the written network is further from the trained one than it may be.
    """
    notes = dev_notes(source.run, made.plain, manifest, dev_samples(manifest))
    criterion = str(source.run.read_recipe()["criterion"])
    calibrate = partial(calibrate_bundle, manifest=manifest, criterion=criterion, notes=notes, progress=source.progress)
    plain = calibrate(made.plain)
    if options.quantise_on:
        try:
            written = calibrate(made.written).bundle
        except MetricError as error:  # the floats could be calibrated, so that the quantisation is the cause
            raise RunError(f"not exported: the network of 8 bits cannot be calibrated: {error}") from error
    else:
        described = plain.bundle.description
        written = _changed(made.written, calibration=described.calibration, threshold=described.threshold)
    made = replace(made, plain=plain.bundle, written=written, unreadable=made.unreadable | plain.unreadable)
    parity, unreadable = _parity(source, made, manifest, kept=options.threshold)
    if parity.failures and not options.force:
        raise RunError(f"not exported: {'; '.join(parity.failures)} (--force writes it all the same)")
    return replace(made, parity=parity, warnings=(*notes, *parity.notes), unreadable=made.unreadable | unreadable)


def _parity(source: _Source, made: _Made, manifest: Path, *, kept: bool) -> tuple[Parity, dict[str, str]]:
    """The parity on test, or on dev if there is no test split of both classes, and the images it could not read."""
    test = [sample for sample in read_manifest(manifest) if sample.split is Split.TEST]
    samples, split = test, "test split"
    if {sample.label for sample in test} != set(Label):
        samples = dev_samples(manifest)
        split = "the samples that chose the threshold, as it has no test split of both classes"
    notes = measured_notes(source.run, manifest, test)
    if not kept:
        notes.append("the decisions are at thresholds that were chosen for this comparison; the model holds none")
    scored, unreadable = [], dict[str, str]()
    for variant in _variants(source.trained, made):
        one, images = _scored(variant, made.plain, manifest, samples, source.progress)
        scored.append(one)
        unreadable |= images
    return compare_variants(f"{manifest_words(manifest)}, {split}", scored, notes), unreadable


@dataclass(frozen=True)
class _Variant:
    """One way to run the model."""

    name: str
    precision: Precision
    bundle: Bundle
    scorer: Scorer


def _variants(trained: TrainedModel, made: _Made) -> list[_Variant]:
    """The trained network first, then its graph in each engine, then 8 bits."""
    plain, written = made.plain, made.written.description.networks[0]
    variants = [
        _Variant("PyTorch", "fp32", plain, EagerScorer(trained, plain.description.calibration)),
        _Variant("ONNX Runtime", "fp32", plain, BundleScorer(plain)),
    ]
    if importlib.util.find_spec("openvino"):
        converted = made.written if (written.format, written.precision) == ("openvino", "fp32") else plain
        variants.append(_Variant("OpenVINO", "fp32", converted, BundleScorer(converted, engine="openvino")))
    if written.precision == "int8":
        engine: EngineName = "onnxruntime" if written.format == "onnx" else "openvino"
        title = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}[engine]
        variants.append(_Variant(f"{title}, int8", "int8", made.written, BundleScorer(made.written)))
    return variants


def _scored(
    variant: _Variant, plain: Bundle, manifest: Path, samples: Sequence[Sample], progress: bool
) -> tuple[Scored, dict[str, str]]:
    title = f"parity: {variant.name}" if progress else None
    logits = score_samples(LogitScorer(variant.scorer), manifest.parent, samples, title=title)
    own, reference = (
        with_calibration(logits.records, each.description.calibration) for each in (variant.bundle, plain)
    )
    chosen = variant.bundle.description.threshold
    assert chosen is not None
    return Scored(variant.name, variant.precision, chosen, own, reference), logits.unreadable


def _described(source: _Source, made: _Made, wording: Wording, options: ExportOptions) -> Bundle:
    """The written model with everything that is said of it, and the run's own files."""
    trained, run = source.trained, source.run
    facts: dict[str, Any] = {
        **trained.facts,
        "weights_sha256": trained.weights_sha256,
        "exported_with": {name: number for name, number in installed_versions(_PACKAGES).items() if number},
    }
    if options.quantise_on:
        facts["quantised_on"] = manifest_words(options.quantise_on)
    if made.parity:
        facts["parity"] = made.parity.facts()
    files = {path.name: path.read_bytes() for path in (run.weights_file, run.description_file)}
    if wording.card:
        files[CARD] = wording.card.encode()
    bundle = Bundle(made.written.description, {**made.written.files, **files})
    changes: dict[str, Any] = {} if options.threshold else {"threshold": None}
    return _changed(
        bundle,
        name=wording.name or run.path.resolve().name,
        license=wording.license,
        scope=wording.scope,
        source=f"recipe {trained.facts['recipe']}",
        facts=facts,
        **changes,
    )


def _changed(bundle: Bundle, **changes: object) -> Bundle:
    return replace(bundle, description=bundle.description.model_copy(update=changes))
