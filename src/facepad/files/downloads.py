"""Where the files of public networks are: a path given, the folder that FACEPAD_MODELS names, or a pinned download."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from facepad.errors import ModelError

__all__ = ["PublicModel", "cache_folder", "download", "in_models_folder", "model_path"]


@dataclass(frozen=True, slots=True)
class PublicModel:
    """The file of a public network, and how messages speak of it.

    Attributes:
        title: Whose it is, such as "YuNet".
        url: Its public address.
        sha256: Of the file there, 64 hex digits.
        license: SPDX expression.
        option: How a path to it is given on the command line.
        instead: What does without it, as the end of a sentence.
        other_names: Names of equally good files that the folder FACEPAD_MODELS may hold; they are preferred.
    """

    title: str
    url: str
    sha256: str
    license: str
    option: str
    instead: str
    other_names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's own name.

        >>> PublicModel("x", "https://host/models/x.onnx?generation=1", "", "MIT", "--model", "").name
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
    remedy = (
        f"get {model.url} and give it with {model.option}, or put it as {model.name} into the folder that "
        f"FACEPAD_MODELS names; {model.instead}"
    )
    path = cache_folder() / model.name
    return download(model.url, model.sha256, path, title=model.title, licence=model.license, remedy=remedy)


def cache_folder() -> Path:
    """Where downloads are kept: the folder that FACEPAD_HOME names; without it the platform's cache folder."""
    home = os.environ.get("FACEPAD_HOME")
    if home:
        return Path(home)
    import pooch  # only here: it takes a while to import

    return Path(pooch.os_cache("facepad"))


def download(url: str, sha256: str, path: Path, *, title: str, licence: str, remedy: str) -> Path:
    """A file at its place, downloaded if it is not there; stderr says what is downloaded, and under which licence.

    Args:
        url: Where it is.
        sha256: Of the file, 64 hex digits.
        path: Where it shall be.
        title: What messages call it.
        licence: Of the file; empty if it is not known.
        remedy: What to do without a download, as the end of a sentence.

    Raises:
        ModelError: it cannot be downloaded, or is another file.
    """
    import pooch  # only here: it takes a while to import and is rarely needed

    if not path.is_file():
        print(f"downloading {url}{f' (licence: {licence})' if licence else ''}", file=sys.stderr)
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(url, f"sha256:{sha256}", fname=path.name, path=path.parent)
    except Exception as error:  # no network, a proxy's page, a full disk: the same remedy for all of them
        raise ModelError(f"cannot download {title} ({type(error).__name__}): {remedy}") from error
    return path
