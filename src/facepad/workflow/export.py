"""Export of a run as a model file, with a report that compares its decisions with the trained network's."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from facepad.datasets.manifest import manifest_hash, manifest_words, read_manifest
from facepad.errors import InputError, MetricError, RunError
from facepad.export.openvino import to_openvino
from facepad.export.parity import Parity, Precision, Scored, compare_variants, write_parity
from facepad.export.plain import ONNX_SUFFIX, plain_onnx
from facepad.files.disk import refuse_existing, write_bytes
from facepad.files.locks import new_file
from facepad.files.opening import MaxBytes, read_bytes
from facepad.modelfile.bundle import CARD, Bundle, write_bundle
from facepad.modelfile.run_folder import RunFolder
from facepad.modelfile.runs import TrainedModel, load_trained
from facepad.modelfile.scorers import BundleScorer, Scorer
from facepad.modelfile.scorers.run_scorer import EagerScorer, bundle_of
from facepad.runtime.inference import EngineName, import_openvino
from facepad.types import Label, Sample, Split
from facepad.workflow.calibrate import LogitScorer, calibrate_bundle, with_calibration
from facepad.workflow.overlap import detector_notes, dev_notes, measured_notes
from facepad.workflow.quantisation import quantisation_images, quantised
from facepad.workflow.scoring import dev_samples, score_samples
from facepad.workflow.versions import installed_versions

__all__ = ["ExportOptions", "Exported", "Wording", "export_run"]

_PACKAGES = ("facepad", "torch", "onnx", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Wording:
    """The texts in a model file.

    Attributes:
        name: Name of the model; if empty, the name of the run folder.
        license: SPDX expression or short text; may be empty.
        scope: The permitted use, one line that every user sees; may be empty.
        card: The model card, Markdown; if empty, the model file has no card.
    """

    name: str = ""
    license: str = ""
    scope: str = ""
    card: str = ""


@dataclass(frozen=True)
class ExportOptions:
    """The options of an export.

    Attributes:
        format: The file format of the network.
        quantise_on: A manifest with quantisation images in its train split. Weights and activations then have 8 bits.
            None keeps 32 bit floats.
        threshold: Whether the model file holds the threshold.
        force: Write the file although parity failed, or although parity of 8 bits cannot be measured.
    """

    format: Literal["onnx", "openvino"] = "onnx"
    quantise_on: Path | None = None
    threshold: bool = True
    force: bool = False


@dataclass(frozen=True)
class Exported:
    """The result of `export_run`.

    Attributes:
        bundle: The written model.
        parity: The comparison with the trained network. None if no manifest was given.
        files: Paths of all written files, first the model.
        note: The reason for a missing calibration, threshold and parity; empty if they exist.
        warnings: Warnings, such as dev and test images that the network was trained on.
        unreadable: Path -> reason, for each image that could not be read.
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
    """Write a run's network as a calibrated model file with a threshold, and compare it with the trained network.

    The file also holds the run's weights, as a start for further training. The parity of a network of 32 bit floats
    fails if a score differs by more than 1e-4. The parity of 8 bits fails if ACER or EER is more than 0.2 percentage
    points higher, or if the APCER of an instrument is above the confidence interval of the trained network's APCER.

    Args:
        run: A finished run folder.
        out: The new model file. ``NAME.parity.json`` and ``NAME.parity.md`` are written beside it. If the name ends in
            ``.onnx``, the file is plain ONNX with metadata (`facepad.export.plain.plain_onnx`), without weights and
            card.
        options: The options of the export.
        manifest: The manifest for calibration, threshold and parity. Dev samples determine the calibration, and choose
            the threshold by the recipe's criterion. Parity is measured on test samples (on dev samples, if the test
            split lacks a class). None takes the training manifest, if it is unchanged and still at its path. Without a
            manifest, the model has no calibration and no threshold.
        wording: The texts in the model file.
        progress: Draw progress bars on stderr.

    Raises:
        InputError: the input is wrong. Then no file is written.
        BusyError: another process writes ``out``.
        RunError: parity failed. Then no file is written.
    """
    options = options or ExportOptions()
    refuse_existing(out)
    if out.suffix.lower() == ONNX_SUFFIX and options.format != "onnx":
        raise InputError(f"{out} is the name of an ONNX file, which cannot hold --format {options.format}")
    if options.format == "openvino":
        import_openvino()
    source = _Source(RunFolder(run), load_trained(run), progress)
    manifest, note = (manifest, "") if manifest else _trained_manifest(source.run)
    if manifest:
        dev_samples(manifest)
        source.run.read_recipe()  # refuses a folder without a recipe before the network is quantised
    elif options.quantise_on and not options.force:
        raise InputError(f"8 bits are not written without a measured parity: {note} (--force writes the file anyway)")
    made = _build(source, options)
    if manifest:
        made = _measure(source, made, manifest, options)
    bundle = _described(source, made, wording or Wording(), options)
    with new_file(out, "exporting"):
        files = [_write_model(out, bundle)]
        if made.parity:
            files += write_parity(out, made.parity, forced=bool(made.parity.failures))
    return Exported(bundle, made.parity, tuple(files), note, made.warnings, made.unreadable)


def _write_model(out: Path, bundle: Bundle) -> Path:
    if out.suffix.lower() != ONNX_SUFFIX:
        return write_bundle(out, bundle)
    write_bytes(out, plain_onnx(bundle, bundle.description.networks[0]))
    return out


@dataclass(frozen=True)
class _Source:
    """The run to export, with its trained network."""

    run: RunFolder
    trained: TrainedModel
    progress: bool


@dataclass(frozen=True)
class _Made:
    """The model during the export.

    Attributes:
        plain: The trained network as an ONNX graph of 32 bit floats.
        written: The network in the format and precision of the model file.
        parity: The comparison with the trained network; None if not measured.
        warnings: Warnings for the user.
        unreadable: Path -> reason, for each image that could not be read.
    """

    plain: Bundle
    written: Bundle
    parity: Parity | None = None
    warnings: tuple[str, ...] = ()
    unreadable: dict[str, str] = field(default_factory=dict)


def _trained_manifest(run: RunFolder) -> tuple[Path | None, str]:
    """The training manifest, or None with the reason why it cannot be used."""
    environment = run.read(run.environment_file, "manifest", "manifest_sha256")
    path = Path(environment["manifest"])
    lacks = "exported without calibration, threshold and parity: the manifest of the training"
    if not path.is_file():
        return None, f"{lacks} is not at {path} any more; name another manifest with --manifest"
    if manifest_hash(path) != environment["manifest_sha256"]:
        return None, f"{lacks}, {path}, was changed after the training; to use the file anyway, name it with --manifest"
    return path, ""


def _build(source: _Source, options: ExportOptions) -> _Made:
    """Convert the network to the format and precision of the model file."""
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
    """Calibrate both networks, choose their thresholds, and measure the parity.

    Raises:
        RunError: the parity failed.
    """
    overlap = dev_notes(source.run, made.plain, manifest, dev_samples(manifest))
    notes = [*overlap, *detector_notes(manifest, made.plain)]
    criterion = str(source.run.read_recipe()["criterion"])
    calibrate = partial(calibrate_bundle, manifest=manifest, criterion=criterion, notes=notes, progress=source.progress)
    plain = calibrate(made.plain)
    if options.quantise_on:
        try:
            written = calibrate(made.written).bundle
        except MetricError as error:  # the network of floats could be calibrated, so the quantisation is the cause
            raise RunError(f"not exported: the network of 8 bits cannot be calibrated: {error}") from error
    else:
        described = plain.bundle.description
        kept = {name: getattr(described, name) for name in ("calibration", "threshold", "presets")}
        written = _changed(made.written, **kept)
    made = replace(made, plain=plain.bundle, written=written, unreadable=made.unreadable | plain.unreadable)
    parity, unreadable = _parity(source, made, manifest, kept=options.threshold)
    if parity.failures and not options.force:
        raise RunError(f"not exported: {'; '.join(parity.failures)} (--force writes the file anyway)")
    return replace(made, parity=parity, warnings=(*notes, *parity.notes), unreadable=made.unreadable | unreadable)


def _parity(source: _Source, made: _Made, manifest: Path, *, kept: bool) -> tuple[Parity, dict[str, str]]:
    """The parity on test, or on dev if the test split lacks a class; and path -> reason of the unreadable images."""
    test = [sample for sample in read_manifest(manifest) if sample.split is Split.TEST]
    samples, split = test, "test split"
    if {sample.label for sample in test} != set(Label):
        samples = dev_samples(manifest)
        split = "the samples that the threshold was chosen on, because the test split lacks a class"
    notes = measured_notes(source.run, manifest, test)
    if not kept:
        notes.append("the decisions use thresholds that were chosen only for this comparison; the model file has none")
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
    """The trained network, then the graph of 32 bit floats in each engine, then the graph of 8 bits."""
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
    """The written model with its texts and facts, and with the run's weights."""
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
    files = {path.name: read_bytes(path, MaxBytes.MODEL) for path in (run.weights_file, run.description_file)}
    if wording.card:
        files[CARD] = wording.card.encode()
    bundle = Bundle(made.written.description, {**made.written.files, **files})
    changes: dict[str, Any] = {} if options.threshold else {"threshold": None, "presets": ()}
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
