"""Where the files of public networks are: a path given, the folder that FACEPAD_MODELS names, or a pinned download."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from facepad.errors import ModelError

__all__ = ["PublicModel", "in_models_folder", "model_path"]


@dataclass(frozen=True, slots=True)
class PublicModel:
    """The file of a public network, and how messages speak of it.

    Attributes:
        title: Whose it is, such as "YuNet".
        url: Its public address.
        sha256: Of the file there, 64 hex digits.
        option: How a path to it is given on the command line.
        instead: What does without it, as the end of a sentence.
        other_names: Names of equally good files that the folder FACEPAD_MODELS may hold; they are preferred.
    """

    title: str
    url: str
    sha256: str
    option: str
    instead: str
    other_names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's own name.

        >>> PublicModel("x", "https://host/models/x.onnx?generation=1", "", "--model", "").name
        'x.onnx'
        """
        return PurePosixPath(urlsplit(self.url).path).name


def model_path(model: PublicModel, path: Path | None = None) -> Path:
    """Where its file is: ``path`` if given, else the folder FACEPAD_MODELS, else downloaded once.

    Raises:
        ModelError: the given file is missing, or there is none and it cannot be downloaded; says what to get.
    """
    if path is not None:
        if not Path(path).is_file():
            raise ModelError(f"{path} is not a file; expected the model of {model.title}, such as {model.name}")
        return Path(path)
    return in_models_folder(*model.other_names, model.name) or _download(model)


def in_models_folder(*names: str) -> Path | None:
    """The first of these files that the folder named by FACEPAD_MODELS holds; None without one."""
    folder = os.environ.get("FACEPAD_MODELS")
    candidates = [Path(folder) / name for name in names] if folder else []
    return next((path for path in candidates if path.is_file()), None)


def _download(model: PublicModel) -> Path:
    import pooch  # only here: it takes a while to import and is rarely needed

    cache = pooch.os_cache("facepad")
    try:
        return Path(pooch.retrieve(model.url, f"sha256:{model.sha256}", fname=model.name, path=cache))
    except Exception as error:  # no network, a proxy's page, a full disk: the same remedy for all of them
        raise ModelError(
            f"cannot download {model.title} ({type(error).__name__}): get {model.url} and give it with "
            f"{model.option}, or put it as {model.name} into the folder that FACEPAD_MODELS names; {model.instead}"
        ) from error
