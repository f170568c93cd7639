"""The interface of depth labellers, and the table of all labellers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facepad.depth.facemesh import FaceMeshDepth
from facepad.depth.template import TemplateDepth
from facepad.errors import InputError, ModelError, unknown_choice
from facepad.types import Box

__all__ = ["LABELLERS", "DepthLabeller", "create_labeller", "usual_labeller"]


class DepthLabeller(Protocol):
    """A depth labeller makes the depth map of a face. Several threads may use one labeller at once.

    Attributes:
        name: Name of the labeller in `LABELLERS`.
        identity: Text with labeller, version and model file. It changes if the maps may change, and is stored with
            the maps.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def identity(self) -> str: ...  # noqa: D102

    def depth(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8] | None:
        """The depth map of one face.

        Args:
            image: uint8 RGB ``(height, width, 3)``.
            box: The canonical face square in pixels.

        Returns:
            uint8 ``(64, 64)`` over a square of 1.6 x the face square: 255 = nearest point of the face, 0 = background.
            None if the labeller finds no face.
        """
        ...


def _prnet(model: Path | None) -> DepthLabeller:
    """PRNet, the labeller of the AttentionFusion paper. It needs PyTorch and converted weights (--model)."""
    from facepad.depth.prnet import PrnetDepth  # lazy: importing torch is slow

    return PrnetDepth(model)


LABELLERS: dict[str, Callable[[Path | None], DepthLabeller]] = {
    "facemesh": FaceMeshDepth,
    "prnet": _prnet,
    "template": TemplateDepth,
}
"""Name -> factory. The factory takes the path of a model file, or None for the default file."""


def create_labeller(name: str, *, model: Path | None = None) -> DepthLabeller:
    """A depth labeller by name.

    Args:
        name: A key of `LABELLERS`.
        model: Model file, for labellers that need a model file; None takes the default file.

    Raises:
        InputError: the name is unknown, or the labeller takes no model file.
        ModelError: the model file is missing or wrong.
        ModuleNotFoundError: the package that runs the labeller is not installed.
    """
    if name not in LABELLERS:
        raise InputError(unknown_choice("depth engine", name, LABELLERS))
    return LABELLERS[name](model)


def usual_labeller() -> tuple[DepthLabeller, str | None]:
    """The default labeller: facemesh, or template if facemesh cannot run.

    Returns:
        The labeller, and the reason (one line) why facemesh cannot run; None for facemesh.
    """
    try:
        return FaceMeshDepth(), None
    except ModelError as error:
        reason = str(error)
    except ModuleNotFoundError as error:
        reason = f"{error.name} is not installed"
    return TemplateDepth(), f"engine template, one mean face for all people, as facemesh cannot run: {reason}"
