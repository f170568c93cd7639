"""What a depth labeller is, and the table of all labellers."""

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
    """Gives the depth map of a face. Several threads may use one labeller at once.

    Attributes:
        name: Its name in `LABELLERS`.
        identity: A word that changes whenever its maps may change (labeller, version, model file); stored with them.
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
            uint8 ``(64, 64)`` over the square of 1.6 x the face square: 255 = nearest point of the face, 0 =
            background. None: the labeller finds no face there.
        """
        ...


def _prnet(model: Path | None) -> DepthLabeller:
    """PRNet's position-map network, the paper's labeller; needs PyTorch and its converted weights (--model)."""
    from facepad.depth.prnet import PrnetDepth  # only here: it imports torch

    return PrnetDepth(model)


LABELLERS: dict[str, Callable[[Path | None], DepthLabeller]] = {
    "facemesh": FaceMeshDepth,
    "prnet": _prnet,
    "template": TemplateDepth,
}
"""Name -> factory, which takes the path of a model file, or None for the usual one."""


def create_labeller(name: str, *, model: Path | None = None) -> DepthLabeller:
    """A depth labeller by name.

    Args:
        name: A key of `LABELLERS`.
        model: The labeller's model file, where it has one; None takes the usual one.

    Raises:
        InputError: an unknown name, or a model file for a labeller that has none.
        ModelError: the model file is missing or wrong.
        ModuleNotFoundError: the package that runs the labeller is not installed.
    """
    if name not in LABELLERS:
        raise InputError(unknown_choice("depth engine", name, LABELLERS))
    return LABELLERS[name](model)


def usual_labeller() -> tuple[DepthLabeller, str | None]:
    """The labeller to take when none is named: facemesh, or template where facemesh cannot run.

    Returns:
        The labeller, and for template one line that says why it is not facemesh.
    """
    try:
        return FaceMeshDepth(), None
    except ModelError as error:
        reason = str(error)
    except ModuleNotFoundError as error:
        reason = f"{error.name} is not installed"
    return TemplateDepth(), f"engine template, a mean face for everybody, as facemesh cannot run: {reason}"
