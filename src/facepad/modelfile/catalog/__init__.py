"""Models by name or path: those that come with facepad, described networks, model files, and finished runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from facepad.errors import ModelError, unknown_choice
from facepad.modelfile.bundle import RUN_DESCRIPTION, RUN_WEIGHTS, SUFFIX, Bundle, read_bundle
from facepad.modelfile.catalog.store import at_hand, load_described, user_folder

if TYPE_CHECKING:
    from facepad.modelfile.catalog.described import DescribedModel
    from facepad.modelfile.runs import TrainedModel  # it needs torch

__all__ = [
    "CatalogEntry",
    "described_models",
    "find_model",
    "find_trained",
    "is_listed",
    "list_catalog",
    "shipped_models",
]

_RUN_RECIPE = "recipe.json"  # every run folder has it, finished or not


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A line of `facepad list models`.

    Attributes:
        name: What commands call the model.
        title: One line about it.
        license: SPDX expression or short text.
        size: Bytes of its file or files; None where a description does not say and the file is not at hand.
        state: Its file ``here``, ``to download`` at first use, or ``missing`` (the user must bring it).
    """

    name: str
    title: str
    license: str
    size: int | None
    state: Literal["here", "to download", "missing"]


def shipped_models() -> dict[str, Path]:
    """Name to file of the models that come with facepad."""
    folder = Path(str(resources.files("facepad.modelfile.catalog"))) / "models"
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def described_models() -> dict[str, Path]:
    """Name to description of the networks that facepad knows, and then of those that the user added."""
    shipped = Path(str(resources.files("facepad.modelfile.catalog"))) / "models"
    return {path.stem: path for folder in (shipped, user_folder()) for path in sorted(folder.glob("*.toml"))}


def is_listed(model: str | os.PathLike[str]) -> bool:
    """Whether this is the name of a shipped or described model; a Path never is.

    >>> is_listed("silent-face"), is_listed("./silent-face"), is_listed(Path("silent-face"))
    (True, False, False)
    """
    return model in shipped_models() or model in described_models()


def find_model(model: str | os.PathLike[str]) -> Bundle:
    """A model by name, or by the path of a model file or of a finished run folder.

    Args:
        model: A listed name is the listed model, whatever lies in the working directory under that name: such a file
            or folder is meant by ``./NAME``, or by a Path.

    Raises:
        ModelError: there is no model of that name and nothing at that path, or what is there is no whole model, or a
            described network's file is missing and cannot be downloaded.
    """
    shipped, described = shipped_models(), described_models()
    if model in shipped:
        return read_bundle(shipped[str(model)])
    if model in described:
        from facepad.modelfile.catalog.described import read_described  # only here: it takes a while to import

        return load_described(read_described(described[str(model)]))
    path = Path(model)
    if path.is_dir():
        if not (path / _RUN_RECIPE).is_file():  # said where torch is not installed, too
            raise ModelError(f"{path} holds no trained model (not a run folder)")
        from facepad.modelfile.runs import load_trained
        from facepad.modelfile.scorers.run_scorer import bundle_of  # only here: it needs torch

        return bundle_of(load_trained(path), name=path.name)
    if path.is_file():
        return read_bundle(path)
    known = {**shipped, **described}
    raise ModelError(f"{unknown_choice('model', str(model), known)}; or the path of a model file or run folder")


def find_trained(model: str | Path) -> TrainedModel:
    """The trained network of a run folder or model, from which training can go on.

    Raises:
        ModelError: as `find_model`; or the model holds no trained weights of facepad's.
    """
    from facepad.modelfile.runs import load_trained, read_trained  # only here: it needs torch

    if not is_listed(model) and Path(model).is_dir():
        return load_trained(Path(model))
    bundle = find_model(model)
    if missing := [part for part in (RUN_DESCRIPTION, RUN_WEIGHTS) if part not in bundle.files]:
        raise ModelError(
            f"training cannot go on from model {model}: it holds no {missing[0]}, only graphs to run; "
            "expected a run folder, or a model file made of one"
        )
    return read_trained(bundle.files[RUN_DESCRIPTION], bundle.files[RUN_WEIGHTS], f"model {model}")


def list_catalog() -> list[CatalogEntry]:
    """What `find_model` knows by name; nothing is downloaded.

    Raises:
        ModelError: a description or shipped model is broken; names it.
    """
    from facepad.modelfile.catalog.described import read_described  # only here: it takes a while to import

    entries = []
    for name, path in shipped_models().items():
        description = read_bundle(path).description
        title = str(description.facts.get("title", description.source))
        entries.append(CatalogEntry(name, title, description.license, path.stat().st_size, "here"))
    return entries + [_described_entry(read_described(path)) for path in described_models().values()]


def _described_entry(model: DescribedModel) -> CatalogEntry:
    found = {network.file: at_hand(model, network) for network in model.networks}
    absent = [network for network in model.networks if not found[network.file]]
    sizes = [path.stat().st_size if (path := found[network.file]) else network.bytes for network in model.networks]
    known = [size for size in sizes if size is not None]
    state: Literal["here", "to download", "missing"] = "here"
    if absent:
        state = "to download" if all(network.url for network in absent) else "missing"
    return CatalogEntry(model.name, model.title, model.license, sum(known) if len(known) == len(sizes) else None, state)
