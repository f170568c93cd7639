"""How an image and its face square become a network's input; no other module defines this."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from facepad.errors import ModelError
from facepad.faces import DEFAULT_DETECTOR, crop
from facepad.types import Box

__all__ = ["PreprocessSpec"]

#: Increase this number whenever `PreprocessSpec.apply` gives other pixels: the features that training keeps are then
#: computed again.
_APPLY_VERSION = 1


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """How a network's input is preprocessed; stored with every model, so that training and use cannot drift apart.

    Attributes:
        crop_scale: Side of the crop as a multiple of the canonical face square's side (>= 1); None takes the whole
            frame, resized to ``size`` without keeping its aspect ratio.
        size: Input (height, width) in pixels.
        border: How the part of a crop outside the image is filled.
        detector: The detector whose canonical squares the network was trained on.
        interpolation: How a crop is enlarged; it is always shrunk by area.
        shift: Offset (right, down) from the centre of the face square to the centre of the crop, as multiples of the
            square's side. Foreign networks that were trained on the boxes of other detectors need an offset.
    """

    crop_scale: float | None = None
    size: tuple[int, int] = (224, 224)
    border: Literal["reflect", "constant"] = "reflect"
    detector: str = DEFAULT_DETECTOR
    interpolation: Literal["linear", "lanczos"] = "linear"
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def needs_face(self) -> bool:
        """Whether an image needs a face square; an image without a face is then a non-response."""
        return self.crop_scale is not None

    @property
    def reach(self) -> float | None:
        """Side of the square around the face's centre that holds the whole crop, as a multiple of the square's side.

        None means the whole frame.
        """
        return None if self.crop_scale is None else self.crop_scale + 2 * max(map(abs, self.shift))

    def apply(self, image: NDArray[np.uint8], box: Box | None) -> NDArray[np.uint8]:
        """Crop and resize: uint8 RGB ``(H, W, 3)`` to uint8 RGB ``(*size, 3)``.

        Raises:
            ModelError: the network needs a face and ``box`` is None.
        """
        if self.needs_face and box is None:
            raise ModelError(f"this network looks at {self.crop_scale} x the face square, but no face was found")
        if box is not None and any(self.shift):
            box = box.shifted(self.shift[0] * box.width, self.shift[1] * box.height)
        return crop(
            image,
            box,
            scale=self.crop_scale,
            size=self.size,
            border=self.border,
            interpolation=self.interpolation,
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready copy."""
        return asdict(self)

    @property
    def identity(self) -> str:
        """A text that changes whenever `apply` may give other pixels for the same image: fields and version."""
        return json.dumps([_APPLY_VERSION, self.to_dict()])

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_dict`.

        >>> spec = PreprocessSpec(crop_scale=2.7, size=(160, 160))
        >>> PreprocessSpec.from_dict(spec.to_dict()) == spec
        True
        """
        pairs: dict[str, Any] = {name: tuple(values[name]) for name in ("size", "shift") if name in values}
        return cls(**(values | pairs))
