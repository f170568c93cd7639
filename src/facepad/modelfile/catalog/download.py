"""Downloading the files of models and detectors in advance, for this machine or for a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from facepad.errors import ModelError, unknown_choice
from facepad.faces import DETECTOR_FILES
from facepad.files.disk import refuse_unwritable
from facepad.files.downloads import PublicFile, fetch, fetch_into
from facepad.modelfile.catalog import described_models, shipped_models
from facepad.modelfile.catalog.described import read_described
from facepad.modelfile.catalog.store import model_files

__all__ = ["download", "list_downloads"]


def list_downloads() -> list[str]:
    """The names that `download` knows: models, detectors, the face mesh and the trunks of trainable networks."""
    return [*shipped_models(), *described_models(), *_single_files()]


def download(names: Sequence[str], to: Path | None = None) -> Iterator[tuple[PublicFile, Path]]:
    """Put the files of models and detectors on this machine, or into a folder.

    A model needs the files of its networks, and the file of the detector that finds its faces. A complete file is not
    downloaded again. An interrupted download continues where it stopped.

    Args:
        names: Names of `list_downloads`.
        to: A folder. Every file is then put into this folder, and FACEPAD_MODELS may name it on any machine. None takes
            the folder for downloads.

    Yields:
        Each file and its path, when the file is complete. A file that several names need is given once.

    Raises:
        ModelError: a name is unknown, or a file has no URL.
        DownloadError: a download failed; the message says where to get the file.
        InputError: the folder cannot be created or written.
        RunError: the disk is full.
    """
    known = list_downloads()
    for name in names:
        if name not in known:
            raise ModelError(unknown_choice("download", name, known))
    if to is not None:
        refuse_unwritable(to)
    files = {(file.name, file.sha256): file for name in names for file in _files(name)}
    for file in files.values():
        yield file, fetch(file) if to is None else fetch_into(file, to)


def _single_files() -> dict[str, PublicFile]:
    from facepad.depth.facemesh import FACEMESH

    found = {**DETECTOR_FILES, "facemesh": FACEMESH}
    try:
        from facepad.models.weights import TRUNKS
    except ModuleNotFoundError:  # PyTorch is not installed, so facepad cannot train
        return found
    return found | TRUNKS


def _files(name: str) -> list[PublicFile]:
    if name in shipped_models():
        return []
    if path := described_models().get(name):
        return model_files(read_described(path))
    return [_single_files()[name]]
