"""Downloading the files of models and detectors in advance, for this machine or for a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from facepad.errors import ModelError, unknown_choice
from facepad.faces import DETECTOR_FILES
from facepad.files.disk import refuse_unwritable
from facepad.files.downloads import PublicFile, fetch, fetch_into, find_local
from facepad.files.trunks import TRUNKS
from facepad.modelfile.catalog import described_models, shipped_models
from facepad.modelfile.catalog.described import read_described
from facepad.modelfile.catalog.store import model_files

__all__ = ["download", "list_downloads", "other_files"]

_USES = {
    "yunet": "face detector of the public models and of 'data prepare'",
    "facemesh": "depth labels, to train attention_fusion ('data depth', 'adapt')",
    "mobilenet_v2": "ImageNet weights, to train mobilenet_v2 and attention_fusion ('train', 'adapt')",
    "resnet34": "ImageNet weights, to train resnet34 ('train')",
    "vgg16": "ImageNet weights, to train fasnet ('train')",
}
"""The use of each file that is not a model's."""


def list_downloads() -> list[str]:
    """The names that `download` knows: models, and `other_files`."""
    return [*shipped_models(), *described_models(), *_single_files()]


def other_files() -> list[tuple[str, str, bool]]:
    """The name and the use of each file that is not a model's, and whether it is on this machine.

    >>> [name for name, _, _ in other_files()]
    ['yunet', 'facemesh', 'mobilenet_v2', 'resnet34', 'vgg16']
    """
    return [(name, _USES[name], find_local(file) is not None) for name, file in _single_files().items()]


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

    return {**DETECTOR_FILES, "facemesh": FACEMESH, **TRUNKS}


def _files(name: str) -> list[PublicFile]:
    if name in shipped_models():
        return []
    if path := described_models().get(name):
        return model_files(read_described(path))
    return [_single_files()[name]]
