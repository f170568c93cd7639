"""A model as plain files for other platforms: ONNX graphs, preprocess.json, and reference images with their scores."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facepad.datasets.procedural.clips import Clip, shots
from facepad.errors import DownloadError
from facepad.export.plain import plain_onnx
from facepad.export.preparation import preprocess_document
from facepad.faces.yunet import CALIBRATION, FIRST_SIDE, SECOND_SIDE, YUNET, YuNetDetector
from facepad.files.disk import write_bytes, write_json
from facepad.files.downloads import fetch
from facepad.files.locks import new_folder
from facepad.files.opening import MaxBytes, read_bytes
from facepad.media.images import write_image
from facepad.modelfile.bundle import CARD, LICENSE, Bundle, Network, usual_detector
from facepad.modelfile.scorers import BundleScorer, Prepared
from facepad.runtime.free_size import with_free_size
from facepad.types import AttackType, Box, Decision, Split

__all__ = ["DETECTOR", "PREPROCESS", "REFERENCE", "extract_model"]

DETECTOR = "yunet.onnx"
"""The file of the face detector YuNet, for images of any size."""

PREPROCESS = "preprocess.json"
"""The file with all numbers from an image to a decision, and with the reference scores."""

REFERENCE = "reference"
"""The folder of the reference images and crops."""

_LOG = logging.getLogger(__name__)
_SIZE = (480, 640)
_SHOWN: tuple[tuple[AttackType | None, str | None], ...] = (
    (None, None),
    (AttackType.PRINT, "laser"),
    (AttackType.REPLAY_PHOTO, "lcd"),
)


def extract_model(bundle: Bundle, out: Path) -> list[Path]:
    """Write a model as plain files.

    The files are an ONNX file for each network (`plain_onnx`), YuNet's if it finds the model's faces, preprocess.json
    (`preprocess_document` with the keys ``reference`` and ``detector``), licence and card if the model holds them, and
    three reference images of drawn faces with the crop of each network. A program on another platform gives the same
    scores if it has the same arithmetic. Drawn faces say nothing about the model's errors.

    Args:
        bundle: The model.
        out: A new or empty folder.

    Returns:
        The written files.

    Raises:
        OutputExistsError: the folder is not empty.
        BusyError: another process writes to the folder.
        ModelError: a network is in OpenVINO's format, or cannot run.
        RunError: a file cannot be written.
    """
    networks = bundle.description.networks
    files = {network.files[0]: plain_onnx(bundle, network) for network in networks}
    files |= {name: bundle.files[name] for name in (CARD, LICENSE) if name in bundle.files}
    document = preprocess_document(bundle)
    for numbers, network in zip(document["networks"], networks, strict=True):
        numbers["file"] = network.files[0]
    if usual_detector(bundle) == YuNetDetector.name and (found := _yunet()):
        files[DETECTOR] = found
        document["detector"] = {"file": DETECTOR, "sides": [FIRST_SIDE, SECOND_SIDE], "square": CALIBRATION}
    with new_folder(out, "extracting"):
        document["reference"], pictures = _references(bundle)
        for path, content in files.items():
            write_bytes(out / path, content)
        for path, picture in pictures.items():
            write_image(out / path, picture)
        write_json(out / PREPROCESS, document)
    return [out / path for path in (*files, *pictures, PREPROCESS)]


def _references(bundle: Bundle) -> tuple[list[dict[str, Any]], dict[str, NDArray[np.uint8]]]:
    """The numbers of each reference image, and path -> pixels of all pictures: the images and their crops."""
    scorer = BundleScorer(bundle)
    parts = [BundleScorer(_alone(bundle, network)) for network in bundle.description.networks]
    references: list[dict[str, Any]] = []
    pictures: dict[str, NDArray[np.uint8]] = {}
    for name, image, box in _reference_images():
        crops = scorer.prepare(image, box)
        shown = {f"{REFERENCE}/{name}.png": image}
        shown |= {f"{REFERENCE}/{name}-crop-{place}.png": crop for place, crop in enumerate(crops, start=1)}
        logits = [float(part.score([(crop,)]).logits[0]) for part, crop in zip(parts, crops, strict=True)]
        numbers = {"image": next(iter(shown)), "box": list(box.xyxy), "crops": list(shown)[1:], "logits": logits}
        references.append(numbers | _decision(scorer, crops))
        pictures |= shown
    return references, pictures


def _yunet() -> bytes | None:
    """YuNet's graph for images of any size; None where its file is missing and cannot be downloaded."""
    try:
        return with_free_size(read_bytes(fetch(YUNET), MaxBytes.MODEL))
    except DownloadError:
        _LOG.warning("%s was left out: YuNet's file is missing and cannot be downloaded now", DETECTOR)
        return None


def _alone(bundle: Bundle, network: Network) -> Bundle:
    """One network as a model."""
    changed = bundle.description.model_copy(update={"networks": (network.model_copy(update={"weight": 1.0}),)})
    return Bundle(changed, bundle.files)


@cache
def _reference_images() -> tuple[tuple[str, NDArray[np.uint8], Box], ...]:
    """Name, image and face square of three drawn faces: in front of the camera, on a print and on a screen."""
    clips = [Clip(0, number, Split.TEST, number, 1, *shown) for number, shown in enumerate(_SHOWN, start=1)]
    return tuple((f"face-{clip.number}", image, box) for clip in clips for _, image, box in shots(clip, _SIZE))


def _decision(scorer: BundleScorer, crops: Prepared) -> dict[str, Any]:
    """The score and the verdict of the whole model."""
    score = float(scorer.score([crops]).values[0])
    threshold = scorer.bundle.description.threshold
    decision = Decision.on_score(score, None if threshold is None else threshold.value, timings={})
    return {"score": score, "verdict": decision.verdict}
