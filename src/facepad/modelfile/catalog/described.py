"""ONNX networks described by a TOML file: the keys of the file, and its conversion to a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from facepad.errors import InputError, ModelError, unknown_choice
from facepad.faces import DETECTORS, default_detector
from facepad.files.config import Section, explain, read_toml
from facepad.metrics import (
    PRESETS,
    Preset,
    Rate,
    Threshold,
    ThresholdOrigin,
    make_preset,
    parse_criterion,
    remarks,
)
from facepad.metrics.expected import METHOD
from facepad.modelfile.bundle import Bundle, Calibration, Description, InputFormat, Network, OutputFormat
from facepad.modelfile.preprocess import PreprocessSpec

__all__ = ["DescribedModel", "NetworkSection", "PresetSection", "ShippingSection", "read_described"]

_ELSEWHERE = ("not chosen on data of the place where the model is used",)
_Share = Annotated[float, Field(ge=0, le=1)]


class CropSection(Section):
    """``[networks.preprocess]``: the crop that a network takes, with the fields of a `PreprocessSpec`.

    ``crop`` (the side of the crop) and ``shift`` are multiples of the face square's side. ``size`` is (height, width)
    in pixels. Without ``detector``, the network takes the faces of the machine's `default_detector`.
    """

    crop: Literal["frame"] | Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
    size: tuple[Annotated[int, Field(ge=8, le=4096)], Annotated[int, Field(ge=8, le=4096)]]
    shift: tuple[Annotated[float, Field(ge=-10, le=10)], Annotated[float, Field(ge=-10, le=10)]] = (0.0, 0.0)
    border: Literal["reflect", "constant"] = "reflect"
    interpolation: Literal["linear", "lanczos"] = "linear"
    detector: str | None = None

    @field_validator("detector")
    @classmethod
    def _known_detector(cls, name: str | None) -> str | None:
        if name is not None and name not in DETECTORS:
            raise ValueError(unknown_choice("detector", name, DETECTORS))
        return name

    def spec(self) -> PreprocessSpec:
        """The preprocessing that these keys describe."""
        values = self.model_dump(exclude={"crop"}) | {"detector": self.detector or default_detector()}
        return PreprocessSpec(crop_scale=None if self.crop == "frame" else float(self.crop), **values)


class OutputSection(OutputFormat):
    """``[networks.output]``: the output of a graph. Without a name, the first output decides."""

    name: str | None = None


class NetworkSection(Section):
    """``[[networks]]``: one graph, its file, and the format of its input and output.

    Attributes:
        name: Name of the network in listings and messages.
        file: Name of the ONNX file, without a folder.
        sha256: SHA-256 of the ONNX file. A file with another hash is refused.
        url: Download URL of the file. Empty for a file that every user must provide.
        bytes: Size of the file, for listings.
        preprocess: The crop that the network takes.
        input: Format of the crop that the graph takes.
        output: Format of the graph's output.
        weight: Weight of the network's logit. The model's logit is the sum of weight x logit over all networks.
    """

    name: str = Field(min_length=1)
    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.onnx$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    bytes: int | None = Field(default=None, gt=0)
    preprocess: CropSection
    input: InputFormat
    output: OutputSection
    weight: float = Field(default=1.0, allow_inf_nan=False)

    def network(self) -> Network:
        """The description of this network in a model file."""
        return Network(
            name=self.name,
            files=(self.file,),
            preprocess=self.preprocess.spec(),
            input=self.input,
            output=OutputFormat.model_validate(self.output.model_dump()),
            weight=self.weight,
        )


class CalibrationSection(Section):
    """``[calibration]``: P(bona fide) = sigmoid(slope x logit + offset), and the data that determined both numbers."""

    slope: float = Field(gt=0, allow_inf_nan=False)
    offset: float = Field(allow_inf_nan=False)
    source: str = Field(min_length=1)

    def calibration(self) -> Calibration:
        """The calibration of a model file."""
        return Calibration(method="platt", **self.model_dump())


class ThresholdSection(Section):
    """``[threshold]``: a threshold that the publisher states, or one that was chosen on named data.

    Attributes:
        value: The threshold; a presentation is accepted if P(bona fide) >= value.
        stated: Where the publisher states the threshold. Empty for a threshold that was chosen on data.
        chosen_on: The data on which the threshold was chosen, at ``criterion``. Empty for a publisher's threshold.
        criterion: The criterion of the choice, as `facepad.metrics.parse_criterion` reads it.
        bona_fide, attack: Number of samples of each class in these data.
        notes: What a user must know, such as the error rates to expect on other data.
    """

    value: float = Field(ge=0, le=1)
    stated: str = ""
    chosen_on: str = ""
    criterion: str = "eer"
    bona_fide: int = Field(default=0, ge=0)
    attack: int = Field(default=0, ge=0)
    notes: tuple[str, ...] = _ELSEWHERE

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.stated) == bool(self.chosen_on):
            raise ValueError("a threshold needs one of stated and chosen_on")
        return self

    def threshold(self) -> Threshold:
        """The threshold, with an origin that names the publisher or the data."""
        notes = remarks(self.notes)
        if self.stated:
            origin = ThresholdOrigin(f"stated by the publisher: {self.stated}", notes=notes)
            return Threshold(self.value, str(parse_criterion(self.value)), origin)
        origin = ThresholdOrigin(self.chosen_on, n_bona_fide=self.bona_fide, n_attack=self.attack, notes=notes)
        return Threshold(self.value, str(parse_criterion(self.criterion)), origin)


class PresetSection(Section):
    """``[presets.NAME]``: a preset threshold, chosen on the data of ``[threshold]``.

    Attributes:
        value: The threshold.
        apcer, bpcer: The rate to expect of new people of these data, and the ends of its 95 % interval, as fractions.
        notes: What a user must know, such as the error rates to expect on other data.
    """

    value: _Share
    apcer: tuple[_Share, _Share, _Share]
    bpcer: tuple[_Share, _Share, _Share]
    notes: tuple[str, ...] = _ELSEWHERE

    def preset(self, name: str, threshold: ThresholdSection) -> Preset:
        """The preset of a model file."""
        origin = threshold.threshold().origin
        rates = (
            Rate(*values, n=n, method=METHOD)
            for values, n in ((self.apcer, origin.n_attack), (self.bpcer, origin.n_bona_fide))
        )
        return make_preset(name, self.value, replace(origin, notes=remarks(self.notes)), *rates)


class ShippingSection(Section):
    """``[shipping]``: whether a product may contain the model, in the opinion of the description's author.

    Attributes:
        answer: ``yes``, ``no``, or ``ask`` if the licences contradict each other or leave the question open.
        reason: The reason in one sentence.
    """

    answer: Literal["yes", "no", "ask"]
    reason: str = Field(min_length=1)


class DescribedModel(Section):
    """The content of a description.

    Attributes:
        name: Name of the model in commands. A shipped description file has the same name.
        title: One line for `facepad list models`.
        source: Origin of the network: a URL or a text.
        license: Licence of the network: an SPDX expression or short text.
        scope: Permitted use of the model, in one line that every user sees. Empty if the use is not restricted.
        training_data: The data that trained the networks, with their terms of use. Empty if they are not known.
        shipping: Whether a product may contain the model. None if nobody has examined this.
        calibration: Calibration of the summed logit. None takes the sigmoid of the logit as P(bona fide).
        threshold: The threshold. None leaves every presentation undecided until the model is calibrated.
        presets: The preset thresholds by name. They need a threshold that was chosen on data.
        networks: At least one network.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str = Field(min_length=1)
    source: str = Field(min_length=1)
    license: str = Field(min_length=1)
    scope: str = ""
    training_data: str = ""
    shipping: ShippingSection | None = None
    calibration: CalibrationSection | None = None
    threshold: ThresholdSection | None = None
    presets: dict[Literal["strict", "balanced", "lenient"], PresetSection] = Field(default_factory=dict)
    networks: tuple[NetworkSection, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct_files(self) -> Self:
        files = [network.file for network in self.networks]
        if len(set(files)) < len(files):
            raise ValueError(f"networks need different files, got {', '.join(files)}")
        return self

    @model_validator(mode="after")
    def _presets_on_data(self) -> Self:
        if self.presets and not (self.threshold and self.threshold.chosen_on):
            raise ValueError("presets need a threshold with chosen_on, the data that chose them")
        return self

    def to_bundle(self, files: Mapping[str, bytes]) -> Bundle:
        """The model, from the content of its networks' files by name."""
        facts: dict[str, Any] = {
            "title": self.title,
            "urls": [net.url for net in self.networks if net.url],
            "training_data": self.training_data,
        }
        if self.shipping:
            facts["shipping"] = self.shipping.model_dump()
        description = Description(
            name=self.name,
            networks=tuple(network.network() for network in self.networks),
            calibration=self.calibration.calibration() if self.calibration else Calibration(),
            threshold=self.threshold.threshold() if self.threshold else None,
            presets=self._chosen_presets(),
            license=self.license,
            scope=self.scope,
            source=self.source,
            facts=facts,
            parts={network.file: network.sha256 for network in self.networks},
        )
        return Bundle(description, dict(files))

    def _chosen_presets(self) -> tuple[Preset, ...]:
        if self.threshold is None:
            return ()
        return tuple(self.presets[name].preset(name, self.threshold) for name in PRESETS if name in self.presets)


def read_described(path: Path) -> DescribedModel:
    """Read and check a description.

    Raises:
        ModelError: the file cannot be read, or a key or value is wrong. The message names the key and the choices.
    """
    try:
        return DescribedModel.model_validate(read_toml(path))
    except ValidationError as error:
        raise ModelError(f"{path}: {explain(error, DescribedModel)}") from error
    except InputError as error:
        raise ModelError(f"model description {path} {error}") from error
