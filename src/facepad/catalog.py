"""Models by name or path: the ones that come with facepad, model files, and finished runs."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from facepad.bundle import SUFFIX, Bundle, read_bundle
from facepad.errors import ModelError, unknown_choice

__all__ = ["find_model", "shipped_models"]


def shipped_models() -> dict[str, Path]:
    """Name to file of the models that come with facepad."""
    folder = Path(str(resources.files("facepad"))) / "assets"
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def find_model(model: str | Path) -> Bundle:
    """A model by name, or by the path of a model file or of a finished run folder.

    Raises:
        ModelError: there is no model of that name and nothing at that path, or what is there is no whole model.
    """
    path = Path(model)
    if path.is_dir():
        from facepad.scorers.run_scorer import bundle_of  # only here: it needs torch
        from facepad.trained import load_trained

        return bundle_of(load_trained(path), name=path.name)
    if path.is_file():
        return read_bundle(path)
    shipped = shipped_models()
    if str(model) not in shipped:
        raise ModelError(f"{unknown_choice('model', str(model), shipped)}; or the path of a model file or run folder")
    return read_bundle(shipped[str(model)])
