"""Preprocessing of an image and its face square to a network's input."""

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

#: Increase this number whenever `PreprocessSpec.apply` gives other pixels. Kept features are then computed again.
_APPLY_VERSION = 1


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """Preprocessing of a network's input. It is stored with every model, so training and use cannot differ.

    Attributes:
        crop_scale: Side of the crop as a multiple of the canonical face square's side (>= 1). None takes the whole
            frame, and resizes it to ``size`` without keeping its aspect ratio.
        size: (height, width) of the input in pixels.
        border: Method that fills the part of a crop outside the image.
        detector: The detector that made the canonical face squares of the training data.
        interpolation: Interpolation for enlarging a crop. A crop is always shrunk by area averaging.
        shift: Offset (right, down) from the centre of the face square to the centre of the crop, in sides of the face
            square. Networks from other projects need an offset, because they were trained on boxes of other detectors.
    """

    crop_scale: float | None = None
    size: tuple[int, int] = (224, 224)
    border: Literal["reflect", "constant"] = "reflect"
    detector: str = DEFAULT_DETECTOR
    interpolation: Literal["linear", "lanczos"] = "linear"
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def needs_face(self) -> bool:
        """Whether the network needs a face square. An image without a face is then a non-response."""
        return self.crop_scale is not None

    @property
    def reach(self) -> float | None:
        """Side of the square around the face's centre that contains the whole crop, in sides of the face square.

        None means the whole frame.
        """
        return None if self.crop_scale is None else self.crop_scale + 2 * max(map(abs, self.shift))

    def apply(self, image: NDArray[np.uint8], box: Box | None) -> NDArray[np.uint8]:
        """Cut and resize an image: uint8 RGB ``(H, W, 3)`` to uint8 RGB ``(*size, 3)``.

        Raises:
            ModelError: the network needs a face and ``box`` is None.
        """
        if self.needs_face and box is None:
            raise ModelError(f"this network needs a crop of {self.crop_scale} x the face square, but no face was found")
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
        """The fields as a dictionary that JSON can hold."""
        return asdict(self)

    @property
    def identity(self) -> str:
        """A text of all fields and the version of `apply`: equal texts mean equal pixels from equal images."""
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
