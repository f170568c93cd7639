"""Models by name or path: shipped models, described networks, model files, and finished runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from facepad.errors import DownloadError, ModelError, unknown_choice
from facepad.files.downloads import fetch, find_local
from facepad.modelfile.bundle import SUFFIX, Bundle, read_bundle
from facepad.modelfile.catalog.store import at_hand, load_described, model_files, user_folder
from facepad.modelfile.run_folder import DESCRIPTION_FILE, WEIGHTS_FILE, RunFolder
from facepad.runtime.arguments import require_instance

if TYPE_CHECKING:
    from facepad.modelfile.catalog.described import DescribedModel
    from facepad.modelfile.runs import TrainedModel  # this module needs torch

__all__ = [
    "DEFAULT_MODEL",
    "FALLBACK_MODEL",
    "PART_MODEL",
    "CatalogEntry",
    "FoundModel",
    "described_models",
    "find_model",
    "find_trained",
    "list_catalog",
    "load_default",
    "look_up",
    "shipped_models",
]

DEFAULT_MODEL = "public-trio"
"""The model that is used if no model is named. Its files are downloaded at first use."""

PART_MODEL = "public-fusion"
"""The model that replaces the default model if only these files are on the machine, and no others can be downloaded."""

FALLBACK_MODEL = "distilled-research"
"""The shipped model that replaces both models if their files cannot be downloaded. It is for research only."""

_FALLBACK_NOTE = (
    "the default model %s is not on this machine and cannot be downloaded now (%s): the model %s decides, %s; facepad "
    "download, with an internet connection and a folder that can be written (FACEPAD_HOME), ends this"
)
_EXPECT = {
    PART_MODEL: "with more wrong decisions on other cameras (5 to 34 % ACER)",
    FALLBACK_MODEL: "for research only (wrong decisions on other cameras: 3 to 29 % ACER)",
}

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A line of `facepad list models`.

    Attributes:
        name: Name of the model in commands.
        title: One line about the model.
        license: SPDX expression or short text.
        size: Size of the model's files in bytes. None if a file is not on this machine and the description does not
            give its size.
        state: ``here`` if all files are on this machine, ``to download`` if they are downloaded at first use, or
            ``missing`` if the user must provide them.
        training_data: The data that trained the model. Empty if they are not known.
        may_ship: Whether a product may contain the model; ``?`` if nobody has examined this.
        reason: The reason for ``may_ship``.
    """

    name: str
    title: str
    license: str
    size: int | None
    state: Literal["here", "to download", "missing"]
    training_data: str = ""
    may_ship: Literal["yes", "no", "ask", "?"] = "?"
    reason: str = "not examined"


def shipped_models() -> dict[str, Path]:
    """The models that come with facepad: name to path of the model file."""
    folder = Path(str(resources.files("facepad.modelfile.catalog"))) / "models"
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def described_models() -> dict[str, Path]:
    """The described models: name to path of the description. Shipped descriptions come first, then the user's own."""
    shipped = Path(str(resources.files("facepad.modelfile.catalog"))) / "models"
    return {path.stem: path for folder in (shipped, user_folder()) for path in sorted(folder.glob("*.toml"))}


@dataclass(frozen=True, slots=True)
class FoundModel:
    """The location of a model that a name or path denotes. The model itself is not read yet.

    Attributes:
        kind: A ``shipped`` or ``described`` model was found by its name, a ``file`` or a ``run`` by its path.
        path: The model file, the description, or the run folder.
    """

    kind: Literal["shipped", "described", "file", "run"]
    path: Path

    @property
    def run(self) -> RunFolder | None:
        """The run folder; None if the model is not a run."""
        return RunFolder(self.path) if self.kind == "run" else None

    def read(self) -> Bundle:
        """Read the model.

        Raises:
            ModelError: the file or folder is incomplete or not a model, or the file of a described network is missing
                and cannot be downloaded.
        """
        if self.kind == "described":
            from facepad.modelfile.catalog.described import read_described  # local: slow to import

            return load_described(read_described(self.path))
        if self.run is None:
            return read_bundle(self.path)
        self.run.require_finished()  # before the import of torch: this error must also appear if torch is not installed
        from facepad.modelfile.runs import load_trained
        from facepad.modelfile.scorers.run_scorer import bundle_of

        return bundle_of(load_trained(self.path), name=self.path.name)


def look_up(model: str | os.PathLike[str]) -> FoundModel | None:
    """Find the model that a name or path denotes, as `find_model` does, or return None.

    >>> [found and found.kind for found in map(look_up, ("silent-face", "./silent-face", Path("silent-face")))]
    ['described', None, None]
    """
    require_instance("model", model, (str, os.PathLike), "a model's name or path")
    if model in (shipped := shipped_models()):
        return FoundModel("shipped", shipped[str(model)])
    if model in (described := described_models()):
        return FoundModel("described", described[str(model)])
    path = Path(model)
    with suppress(OSError):  # a name that is too long for the file system
        if path.is_dir():
            return FoundModel("run", path)
        if path.exists():
            return FoundModel("file", path)
    return None


def find_model(model: str | os.PathLike[str]) -> FoundModel:
    """Find a model by its name, or by the path of a model file or run folder.

    Args:
        model: A name in the catalogue, or a path. A text that is a name in the catalogue always means the catalogue's
            model. Write ``./NAME`` or use a `Path` for a file or folder of that name.

    Raises:
        ModelError: the catalogue does not hold this name, and no file or folder has this path.
        InputError: neither a text nor a path.
    """
    if found := look_up(model):
        return found
    known = {**shipped_models(), **described_models()}
    raise ModelError(f"{unknown_choice('model', str(model), known)}; or the path of a model file or run folder")


def load_default() -> Bundle:
    """Read the default model. If its files are not on this machine and cannot be downloaded, read another model.

    That is `PART_MODEL` if its files are on this machine, else `FALLBACK_MODEL`. A line in the log announces it, with
    its terms, the error to expect, and the command that ends this.

    Raises:
        ModelError: a file of the model is not the described file.
    """
    from facepad.modelfile.catalog.described import read_described  # local: slow to import

    model, part = (read_described(described_models()[name]) for name in (DEFAULT_MODEL, PART_MODEL))
    try:
        for file in model_files(model):
            fetch(file)
    except DownloadError as error:
        name = PART_MODEL if all(map(find_local, model_files(part))) else FALLBACK_MODEL
        _LOG.warning(_FALLBACK_NOTE, DEFAULT_MODEL, error.reason, name, _EXPECT[name])
        return find_model(name).read()
    return load_described(model)


def find_trained(model: str | os.PathLike[str]) -> TrainedModel:
    """Read the trained network of a run folder or model file. Training can continue from this network.

    Raises:
        ModelError: the model does not exist, cannot be read, or holds no weights that facepad has trained.
    """
    from facepad.modelfile.runs import load_trained, read_trained  # local: this module needs torch

    found = find_model(model)
    if found.run:
        return load_trained(found.path)
    bundle = found.read()
    if missing := [part for part in (DESCRIPTION_FILE, WEIGHTS_FILE) if part not in bundle.files]:
        raise ModelError(
            f"training cannot continue from model {model}: the model holds no {missing[0]}, only graphs; "
            "expected a run folder, or a model file made from a run"
        )
    return read_trained(bundle.files[DESCRIPTION_FILE], bundle.files[WEIGHTS_FILE], f"model {model}")


def list_catalog() -> list[CatalogEntry]:
    """List the models that `find_model` knows by name. This downloads no files.

    Raises:
        ModelError: a description or shipped model is broken. The message names the file.
    """
    from facepad.modelfile.catalog.described import read_described  # local: slow to import

    entries = []
    for name, path in shipped_models().items():
        description = read_bundle(path).description
        facts, title = description.facts, str(description.facts.get("title", description.source))
        entry = CatalogEntry(name, title, description.license, path.stat().st_size, "here")
        entries.append(_with_terms(entry, facts.get("training_data", ""), facts.get("shipping")))
    return entries + [_described_entry(read_described(path)) for path in described_models().values()]


def _described_entry(model: DescribedModel) -> CatalogEntry:
    found = {network.file: at_hand(model, network) for network in model.networks}
    absent = [network for network in model.networks if not found[network.file]]
    sizes = [path.stat().st_size if (path := found[network.file]) else network.bytes for network in model.networks]
    known = [size for size in sizes if size is not None]
    state: Literal["here", "to download", "missing"] = "here"
    if absent:
        state = "to download" if all(network.url for network in absent) else "missing"
    size = sum(known) if len(known) == len(sizes) else None
    entry = CatalogEntry(model.name, model.title, model.license, size, state)
    shipping = model.shipping.model_dump() if model.shipping else None
    return _with_terms(entry, model.training_data, shipping)


def _with_terms(entry: CatalogEntry, training_data: str, shipping: Mapping[str, Any] | None) -> CatalogEntry:
    entry = replace(entry, training_data=training_data)
    return replace(entry, may_ship=shipping["answer"], reason=shipping["reason"]) if shipping else entry
