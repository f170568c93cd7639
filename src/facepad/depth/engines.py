"""What a depth engine is, and the table of those there are."""

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

__all__ = ["ENGINES", "DepthEngine", "create_engine", "usual_engine"]


class DepthEngine(Protocol):
    """Tells the depth of a face. Implementations may be used from several threads at once.

    Attributes:
        name: Its name in `ENGINES`.
        identity: A word that changes whenever its maps may change (engine, version, model file); stored with them.
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
            uint8 ``(64, 64)`` over the square of 1.6 x the face square: 255 = nearest place of the face, 0 =
            background. None: the engine finds no face there.
        """
        ...


def _prnet(model: Path | None) -> DepthEngine:
    """PRNet's position-map network, the paper's engine; needs PyTorch and its converted weights (--model)."""
    from facepad.depth.prnet import PrnetDepth  # only here: it imports torch

    return PrnetDepth(model)


ENGINES: dict[str, Callable[[Path | None], DepthEngine]] = {
    "facemesh": FaceMeshDepth,
    "prnet": _prnet,
    "template": TemplateDepth,
}
"""Name -> factory; it takes the path of a model file, or None for the usual one."""


def create_engine(name: str, *, model: Path | None = None) -> DepthEngine:
    """A depth engine by name.

    Args:
        name: A key of `ENGINES`.
        model: The engine's model file, where it has one; None takes the usual one.

    Raises:
        InputError: an unknown name, or a model file for an engine that has none.
        ModelError: the model file is missing or wrong.
        ModuleNotFoundError: the package that runs the engine is not installed.
    """
    if name not in ENGINES:
        raise InputError(unknown_choice("depth engine", name, ENGINES))
    return ENGINES[name](model)


def usual_engine() -> tuple[DepthEngine, str | None]:
    """The engine for who names none: facemesh, or template where facemesh cannot be had.

    Returns:
        The engine, and for template one line that says why it is not facemesh.
    """
    try:
        return FaceMeshDepth(), None
    except ModelError as error:
        reason = str(error)
    except ModuleNotFoundError as error:
        reason = f"{error.name} is not installed"
    return TemplateDepth(), f"engine template, a mean face for everybody, as facemesh cannot run: {reason}"
