"""A model file: a ZIP archive of networks with their preprocessing, their threshold and their origin.

The part ``bundle.json`` describes the model (`Description`) and holds the SHA-256 of every other part. No part is ever
unpickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, model_validator

from facepad.errors import BundleError
from facepad.faces import DETECTORS, default_detector
from facepad.files.config import Section, explain
from facepad.files.disk import atomic_path
from facepad.files.opening import MaxBytes, read_bytes
from facepad.metrics import Note, Preset, Threshold, read_notes
from facepad.modelfile.preprocess import PreprocessSpec

__all__ = [
    "CARD",
    "FORMAT",
    "LICENSE",
    "SUFFIX",
    "Bundle",
    "Calibration",
    "Description",
    "InputFormat",
    "Network",
    "OutputFormat",
    "read_bundle",
    "usual_detector",
    "write_bundle",
]

FORMAT = 1
"""The format of model files that this version reads and writes."""

SUFFIX = ".facepad"
"""The suffix of the name of a model file."""

# These parts are optional. A model file made from a run also holds the run's weights and their description
# (`facepad.modelfile.run_folder`). Training can continue from these.
CARD = "CARD.md"
"""The part that holds the model card."""

LICENSE = "LICENSE"
"""The part that holds the text of the licence."""

_DESCRIPTION = "bundle.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # The date of every part is fixed, because the same content must give the same bytes.

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Three = tuple[_Finite, _Finite, _Finite]


class InputFormat(Section):
    """The input of a graph. The defaults fit the graphs that facepad exports.

    A pixel value ``p`` in 0..255 becomes ``(p * scale - mean) / std``.
    """

    layout: Literal["nhwc", "nchw"] = "nhwc"
    channels: Literal["rgb", "bgr"] = "rgb"
    dtype: Literal["uint8", "float32"] = "uint8"
    scale: Annotated[_Finite, Field(gt=0)] = 1.0
    mean: _Three = (0.0, 0.0, 0.0)
    std: _Three = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if min(self.std) <= 0:
            raise ValueError("std must be positive")
        if self.dtype == "uint8" and (self.scale, self.mean, self.std) != (1.0, (0.0,) * 3, (1.0,) * 3):
            raise ValueError("a graph that takes uint8 gets unchanged pixels: no scale, mean or std")
        return self


class OutputFormat(Section):
    """The output of a graph.

    Attributes:
        name: Name of the output that decides. None takes the first output.
        kind: ``logit`` has the shape ``(N,)`` or ``(N, 1)`` and is positive for bona fide. ``logits`` and
            ``probabilities`` have the shape ``(N, classes)``.
        bona_fide: Index of the class bona fide, if the output has several classes.
        depth: Name of an output that is a depth map in [0, 1], near = 1.
    """

    name: str | None = "logit"
    kind: Literal["logit", "logits", "probabilities"] = "logit"
    bona_fide: int = Field(default=0, ge=0)
    depth: str | None = None


class Network(Section):
    """One network of a model, the preprocessing of its input, and the weight of its logit.

    Attributes:
        name: Name of the network in listings and messages.
        files: Names of the parts that hold the network: an ONNX graph, or OpenVINO's XML and weights.
        precision: Precision of the weights and the arithmetic.
        preprocess: Preprocessing of an image into a crop.
        input: Format of the crop that the graph takes.
        output: Format of the graph's output.
        weight: Weight of the network's logit. The model's logit is the sum of weight x logit over all networks.
    """

    name: str
    files: tuple[str, ...] = Field(min_length=1, max_length=2)
    precision: Literal["fp32", "int8"] = "fp32"
    preprocess: PreprocessSpec
    input: InputFormat = InputFormat()
    output: OutputFormat = OutputFormat()
    weight: _Finite = 1.0

    @property
    def format(self) -> Literal["onnx", "openvino"]:
        """The format of the network's files."""
        return "onnx" if len(self.files) == 1 else "openvino"


class Calibration(Section):
    """P(bona fide) = sigmoid(slope x logit + offset). It rises with the logit, so the order of images does not change.

    Attributes:
        method: ``none``, ``temperature`` (offset 0) or ``platt``.
        slope: A factor above 0.
        offset: An offset in logits.
        source: The data on which the calibration was fitted, with their hash. Empty for ``none``.
        ece_before, ece_after: Expected calibration error on these data, before and after calibration.
        notes: Further facts that a user must know.
    """

    method: Literal["none", "temperature", "platt"] = "none"
    slope: Annotated[_Finite, Field(gt=0)] = 1.0
    offset: _Finite = 0.0
    source: str = ""
    ece_before: _Finite | None = None
    ece_after: _Finite | None = None
    notes: tuple[Note, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_note_of_older_files(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and isinstance(values.get("note"), str):
            rest = {key: value for key, value in values.items() if key != "note"}
            return {**rest, "notes": read_notes(values["note"])}
        return values


def _threshold(value: Any) -> Any:
    return Threshold.from_dict(value) if isinstance(value, Mapping) else value


_Threshold = Annotated[
    Threshold, BeforeValidator(_threshold), PlainSerializer(lambda threshold: threshold.to_dict(), return_type=dict)
]


def _preset(value: Any) -> Any:
    return Preset.from_dict(value) if isinstance(value, Mapping) else value


_Preset = Annotated[
    Preset, BeforeValidator(_preset), PlainSerializer(lambda preset: preset.to_dict(), return_type=dict)
]


class Description(Section):
    """The content of bundle.json.

    Attributes:
        format: Version of the file format. Other versions are refused.
        name: Name of the model.
        networks: At least one network.
        calibration: Conversion of the model's logit to P(bona fide).
        threshold: A presentation is accepted if P(bona fide) >= the threshold's value. None leaves every presentation
            undecided.
        presets: The thresholds ``strict``, ``balanced`` and ``lenient``, with the error rates to expect. Empty for a
            model that was not calibrated on data.
        license: SPDX expression or short text. The licence text itself may be a part of the file.
        scope: Permitted use of the model, in one line that every user sees. Empty if the use is not restricted.
        source: Origin of the model: an address, or the recipe.
        facts: Details of the origin, for human readers: recipe, data and their hash, versions.
        parts: SHA-256 of every other file in the archive.
    """

    format: Literal[1] = 1
    name: str = Field(min_length=1)
    networks: tuple[Network, ...] = Field(min_length=1)
    calibration: Calibration = Calibration()
    threshold: _Threshold | None = None
    presets: tuple[_Preset, ...] = ()
    license: str = ""
    scope: str = ""
    source: str = ""
    facts: dict[str, Any] = Field(default_factory=dict)
    parts: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A model in memory.

    Attributes:
        description: The content of ``bundle.json``.
        files: Content of the model's parts, by name.
        sha256: SHA-256 of the model file. Empty for a model that was not read from a file.
    """

    description: Description
    files: Mapping[str, bytes] = field(repr=False)
    sha256: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 that identifies the model: of its file, or else of everything that decides.

        A described model and a run folder have no single file. Their hash covers the description without its facts,
        and the SHA-256 of each part.
        """
        if self.sha256:
            return self.sha256
        whole = hashlib.sha256(self.description.model_dump_json(exclude={"parts", "facts"}).encode())
        for name, content in sorted(self.files.items()):
            whole.update(f"\n{name} {hashlib.sha256(content).hexdigest()}".encode())
        return whole.hexdigest()

    def network_files(self, network: Network) -> tuple[bytes, ...]:
        """The content of a network's parts."""
        return tuple(self.files[name] for name in network.files)


def usual_detector(bundle: Bundle) -> str | None:
    """The detector that finds the faces for a model; None for a model that takes whole frames.

    This is the detector that made the boxes of the training data. If these boxes came with the data set, it is the
    `default_detector` of this machine.
    """
    own = [network.preprocess.detector for network in bundle.description.networks if network.preprocess.needs_face]
    if not own:
        return None
    return own[0] if own[0] in DETECTORS else default_detector()


def write_bundle(path: Path, bundle: Bundle) -> Path:
    """Write a model file in one step: a failure leaves no partial file. The same model gives the same bytes.

    Raises:
        RunError: the file cannot be written.
    """
    parts = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(bundle.files.items())}
    description = bundle.description.model_copy(update={"parts": parts})
    text = json.dumps(description.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in [(_DESCRIPTION, text.encode()), *sorted(bundle.files.items())]:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return path


def read_bundle(path: Path) -> Bundle:
    """Read a model file and check every part.

    Raises:
        BundleError: the file is missing, truncated, not a model file, or of a newer format, or a part was changed.
    """
    path = Path(path)
    try:
        content = read_bytes(path, MaxBytes.MODEL)
    except OSError as error:
        raise BundleError(f"cannot read model {path}: {error.strerror or error}") from error
    files = _read_parts(path, content)
    description = _describe(path, files.pop(_DESCRIPTION))
    for name, expected in description.parts.items():
        if name not in files:
            raise BundleError(f"{path} lacks its part {name}")
        if hashlib.sha256(files[name]).hexdigest() != expected:
            raise BundleError(f"{path} was changed: the SHA-256 of its part {name} differs from {_DESCRIPTION}")
    if unlisted := files.keys() - description.parts.keys():
        raise BundleError(f"{path} was changed: it holds {min(unlisted)}, which {_DESCRIPTION} does not list")
    return Bundle(description, files, hashlib.sha256(content).hexdigest())


def _read_parts(path: Path, content: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            if _DESCRIPTION not in entries:
                raise BundleError(f"{path} is a ZIP archive but not a facepad model: it holds no {_DESCRIPTION}")
            # Compressed parts are refused, because a few compressed bytes could expand and fill the memory.
            if packed := [name for name, entry in entries.items() if entry.compress_type != zipfile.ZIP_STORED]:
                raise BundleError(
                    f"{path} is not a facepad model: its part {packed[0]} is compressed, but must be stored without "
                    "compression"
                )
            if sum(entry.file_size for entry in entries.values()) > len(content):
                raise BundleError(f"{path} is not a facepad model: its parts overlap")
            return {name: archive.read(entry) for name, entry in entries.items()}
    except BundleError:
        raise
    except Exception as error:  # a damaged archive makes zipfile raise nearly any exception
        if path.suffix.lower() == ".onnx" and not zipfile.is_zipfile(io.BytesIO(content)):
            raise BundleError(
                f"{path} is not a facepad model: plain ONNX does not say how to use the network. 'facepad export RUN "
                "a.facepad' makes a model of a run, and 'facepad model add' one of another network"
            ) from error
        raise BundleError(f"{path} is not a facepad model, or it is truncated or damaged ({error})") from error


def _finite(text: str) -> float:
    """A number of a JSON file. NaN and infinity are no numbers of JSON, but Python would read them."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not finite")
    return number


def _describe(path: Path, text: bytes) -> Description:
    try:
        values = json.loads(text, parse_float=_finite, parse_constant=_finite)
        if isinstance(values, dict) and values.get("format") != FORMAT:
            raise BundleError(f"{path} has format {values.get('format')!r}, but this facepad reads format {FORMAT}")
        description = Description.model_validate(values)
    except ValidationError as error:
        raise BundleError(f"{path}: {_DESCRIPTION} is not valid: {explain(error, Description)}") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: {_DESCRIPTION} is not readable JSON") from error
    for network in description.networks:
        if missing := [name for name in network.files if name not in description.parts]:
            raise BundleError(
                f"{path}: {_DESCRIPTION} does not list the part {missing[0]}, which network {network.name} needs"
            )
    return description
