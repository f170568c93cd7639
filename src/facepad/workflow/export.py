"""Export as a user knows it: a finished run becomes a model file, and a report on what that changed."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.manifest import manifest_hash, manifest_words, read_manifest, resolve
from facepad.datasets.pack import refuse_narrow_crops
from facepad.errors import ImageError, InputError, MetricError, OutputExistsError, RunError
from facepad.export.openvino import to_openvino
from facepad.export.parity import Parity, Precision, Scored, compare_variants, write_parity
from facepad.media.images import read_image
from facepad.modelfile.bundle import CARD, Bundle, write_bundle
from facepad.modelfile.preprocess import PreprocessSpec
from facepad.modelfile.run_folder import RunFolder
from facepad.modelfile.runs import TrainedModel, load_trained
from facepad.modelfile.scorers import BundleScorer, Scorer
from facepad.modelfile.scorers.run_scorer import EagerScorer, bundle_of
from facepad.runtime.inference import EngineName, import_openvino
from facepad.types import Label, Sample, Split
from facepad.workflow.calibrate import LogitScorer, calibrate_bundle, with_calibration
from facepad.workflow.overlap import dev_notes, measured_notes
from facepad.workflow.scoring import dev_samples, score_samples, scoring_progress
from facepad.workflow.versions import installed_versions

__all__ = ["Exported", "Wording", "export_run"]

_PACKAGES = ("facepad", "torch", "onnx", "onnxruntime", "openvino")
_CALIBRATION_IMAGES, _BATCH = 200, 16


@dataclass(frozen=True)
class Wording:
    """What a model file says of itself in words; empty is left out.

    Attributes:
        name: Of the model; empty takes the run folder's.
        license: SPDX expression or short text.
        scope: What the model may be used for, in a line that every user sees.
        card: The model card, Markdown.
    """

    name: str = ""
    license: str = ""
    scope: str = ""
    card: str = ""


@dataclass(frozen=True)
class Exported:
    """What `export_run` made.

    Attributes:
        bundle: The model as written.
        parity: How far its decisions are from the trained network's; None without a manifest.
        files: All that was written, the model first.
        note: Why there is no calibration, threshold and parity; empty when there are.
        warnings: What else a user must know: of dev and test images that the network learnt from, for instance.
    """

    bundle: Bundle
    parity: Parity | None
    files: tuple[Path, ...]
    note: str = ""
    warnings: tuple[str, ...] = ()


def export_run(
    run: Path,
    out: Path,
    *,
    format: Literal["onnx", "openvino"] = "onnx",
    quantize: Literal["int8"] | None = None,
    calibration: Path | None = None,
    manifest: Path | None = None,
    wording: Wording | None = None,
    threshold: bool = True,
    force: bool = False,
    progress: bool = True,
    unreadable: dict[str, str] | None = None,
) -> Exported:
    """Write a run's network as a model file, calibrated, with its threshold, and measured against the network.

    The file also holds the run's weights, so that training can go on from it.

    Args:
        run: A finished run folder.
        out: The new model file; ``NAME.parity.json`` and ``NAME.parity.md`` come beside it.
        format: What engine it is for.
        quantize: ``int8``: weights and activations of 8 bits.
        calibration: The manifest whose train images show a quantised network how large its activations become.
        manifest: Its dev samples calibrate and choose the threshold by the recipe's criterion; on its test samples
            parity is measured (on dev where it has none). None takes the manifest of the training, if it still is where
            it was and unchanged; otherwise the model has no calibration and no threshold.
        wording: What the file says of itself.
        threshold: Whether the threshold is kept.
        force: Write the file although parity failed, or although there is no manifest to measure 8 bits on.
        progress: Draw progress bars on stderr.
        unreadable: Filled with path and reason of each image that could not be read.

    Raises:
        InputError: wrong input in any of its forms; nothing is written then.
        RunError: parity failed (32 bit floats: a score further than 1e-4 from the network's; 8 bits: ACER or EER more
            than 0.2 points higher, or an instrument's APCER beyond its interval); nothing is written then.
    """
    if out.exists():
        raise OutputExistsError(f"{out} exists already; choose another file, or remove it first")
    if quantize and not calibration:
        raise InputError("quantisation needs images to calibrate on: --calibration MANIFEST with a train split")
    if calibration and not quantize:
        raise InputError("a calibration manifest is for quantisation: add --quantize int8")
    if format == "openvino":
        import_openvino()
    unreadable = {} if unreadable is None else unreadable
    trained = load_trained(run)
    criterion = str(RunFolder(run).read_recipe()["criterion"])
    manifest, note = (manifest, "") if manifest else _trained_manifest(run)
    if manifest:
        dev_samples(manifest)
    elif quantize and not force:
        raise InputError(f"8 bits are not written unmeasured: {note} (--force writes them all the same)")
    network = bundle_of(trained, name=run.name)
    made = network
    if calibration:
        made = _in_int8(made, _calibration_crops(calibration, trained.preprocess, unreadable))
    if format == "openvino":
        made = _in_openvino(made)
    parity, notes = None, list[str]()
    if manifest:
        notes = dev_notes(RunFolder(run), network, manifest, dev_samples(manifest))
        calibrate = partial(calibrate_bundle, manifest=manifest, criterion=criterion, notes=notes, progress=progress)
        network = calibrate(network, unreadable=unreadable)
        if calibration:
            try:
                made = calibrate(made)
            except MetricError as error:  # that of floats could be calibrated: the quantisation broke it
                raise RunError(f"not exported: the network of 8 bits cannot be calibrated: {error}") from error
        else:
            made = _changed(made, calibration=network.description.calibration, threshold=network.description.threshold)
        parity = _parity(trained, network, made, manifest, progress, unreadable)
        parity = replace(parity, notes=_parity_notes(run, manifest, threshold))
        if parity.failures and not force:
            raise RunError(f"not exported: {'; '.join(parity.failures)} (--force writes it all the same)")
    bundle = _described(made, run, trained, wording or Wording(), parity, calibration)
    if not threshold:
        bundle = _changed(bundle, threshold=None)
    files = [write_bundle(out, bundle)]
    if parity:
        files += write_parity(out, parity, forced=bool(parity.failures))
    return Exported(bundle, parity, tuple(files), note, (*notes, *(parity.notes if parity else ())))


def _trained_manifest(run: Path) -> tuple[Path | None, str]:
    """The manifest of the training, or why it cannot serve."""
    environment = RunFolder(run).read(RunFolder(run).environment_file)
    path = Path(environment["manifest"])
    lacks = "exported without calibration, threshold and parity: the manifest of the training"
    if not path.is_file():
        return None, f"{lacks} is not at {path} any more; --manifest names another"
    if manifest_hash(path) != environment["manifest_sha256"]:
        return None, f"{lacks}, {path}, was changed since; --manifest takes it all the same"
    return path, ""


def _changed(bundle: Bundle, **changes: object) -> Bundle:
    return replace(bundle, description=bundle.description.model_copy(update=changes))


def _with_network(bundle: Bundle, files: dict[str, bytes], precision: Precision) -> Bundle:
    network = bundle.description.networks[0].model_copy(update={"files": tuple(files), "precision": precision})
    return Bundle(bundle.description.model_copy(update={"networks": (network,)}), files)


def _in_int8(bundle: Bundle, crops: Sequence[NDArray[np.uint8]]) -> Bundle:
    from facepad.export.int8 import quantize  # only here: ONNX Runtime's tools take a second to import

    [(name, graph)] = bundle.files.items()
    batches = (np.stack(crops[first : first + _BATCH]) for first in range(0, len(crops), _BATCH))
    return _with_network(bundle, {name: quantize(graph, batches)}, "int8")


def _in_openvino(bundle: Bundle) -> Bundle:
    [(name, graph)] = bundle.files.items()
    xml, weights = to_openvino(graph)
    stem = Path(name).stem
    return _with_network(bundle, {f"{stem}.xml": xml, f"{stem}.bin": weights}, bundle.description.networks[0].precision)


def _calibration_crops(manifest: Path, spec: PreprocessSpec, unreadable: dict[str, str]) -> list[NDArray[np.uint8]]:
    """At most `_CALIBRATION_IMAGES` of the train samples: as many of each kind of presentation, always the same."""
    kinds: dict[str, list[Sample]] = defaultdict(list)
    for sample in read_manifest(manifest):
        if sample.split is Split.TRAIN and not (spec.needs_face and sample.box is None):
            kinds[str(sample.attack_type or sample.label)].append(sample)
    refuse_narrow_crops(manifest.parent, chain.from_iterable(kinds.values()), spec.reach)
    rng = np.random.default_rng(0)
    shuffled = [[kinds[kind][place] for place in rng.permutation(len(kinds[kind]))] for kind in sorted(kinds)]
    crops: list[NDArray[np.uint8]] = []
    for sample in filter(None, chain.from_iterable(zip_longest(*shuffled))):
        try:
            crops.append(spec.apply(read_image(resolve(manifest, sample)), sample.box))
        except ImageError as error:
            unreadable[sample.path] = str(error)
        if len(crops) == _CALIBRATION_IMAGES:
            break
    if not crops:
        raise InputError(f"calibration manifest {manifest} has no usable images in split 'train'")
    return crops


def _parity(
    trained: TrainedModel, network: Bundle, made: Bundle, manifest: Path, progress: bool, unreadable: dict[str, str]
) -> Parity:
    samples, split = _parity_samples(manifest)
    scored = []
    with scoring_progress(progress) as bar:
        for name, precision, bundle, scorer in _variants(trained, network, made):
            chosen = bundle.description.threshold
            assert chosen is not None
            logits = score_samples(
                LogitScorer(scorer), manifest.parent, samples, bar=bar, title=f"parity: {name}", unreadable=unreadable
            )
            own, reference = (with_calibration(logits, each.description.calibration) for each in (bundle, network))
            scored.append(Scored(name, precision, chosen, own, reference))
    return compare_variants(f"{manifest_words(manifest)}, {split}", scored)


def _parity_samples(manifest: Path) -> tuple[list[Sample], str]:
    test = [sample for sample in read_manifest(manifest) if sample.split is Split.TEST]
    if {sample.label for sample in test} == set(Label):
        return test, "test split"
    return dev_samples(manifest), "the samples that chose the threshold, as it has no test split of both classes"


def _parity_notes(run: Path, manifest: Path, kept: bool) -> list[str]:
    test = [sample for sample in read_manifest(manifest) if sample.split is Split.TEST]
    notes = measured_notes(RunFolder(run), manifest, test)
    if not kept:
        notes.append("the decisions are at thresholds that were chosen for this comparison; the model holds none")
    return notes


def _variants(trained: TrainedModel, network: Bundle, made: Bundle) -> list[tuple[str, Precision, Bundle, Scorer]]:
    """The ways to run the model: the trained network first, then its graph in each engine, then 8 bits."""
    variants: list[tuple[str, Precision, Bundle, Scorer]] = [
        ("PyTorch", "fp32", network, EagerScorer(trained, network.description.calibration)),
        ("ONNX Runtime", "fp32", network, BundleScorer(network)),
    ]
    written = made.description.networks[0]
    if importlib.util.find_spec("openvino"):
        in_openvino = made if (written.format, written.precision) == ("openvino", "fp32") else network
        variants.append(("OpenVINO", "fp32", in_openvino, BundleScorer(in_openvino, engine="openvino")))
    if written.precision == "int8":
        engine: EngineName = "onnxruntime" if written.format == "onnx" else "openvino"
        title = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}[engine]
        variants.append((f"{title}, int8", "int8", made, BundleScorer(made)))
    return variants


def _described(
    bundle: Bundle, run: Path, trained: TrainedModel, wording: Wording, parity: Parity | None, calibration: Path | None
) -> Bundle:
    """The model with all that is said of it, and the run's own files."""
    facts = {
        **trained.facts,
        "weights_sha256": trained.weights_sha256,
        "exported_with": {name: number for name, number in installed_versions(_PACKAGES).items() if number},
    }
    if calibration:
        facts["quantised_on"] = manifest_words(calibration)
    if parity:
        facts["parity"] = parity.facts()
    files = dict(bundle.files)
    files |= {path.name: path.read_bytes() for path in (RunFolder(run).weights_file, RunFolder(run).description_file)}
    if wording.card:
        files[CARD] = wording.card.encode()
    description = bundle.description.model_copy(
        update={
            "name": wording.name or run.resolve().name,
            "license": wording.license,
            "scope": wording.scope,
            "source": f"recipe {trained.facts['recipe']}",
            "facts": facts,
        }
    )
    return Bundle(description, files)
