"""Public files, such as networks: local copies, or downloads from a pinned URL."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from facepad.errors import DownloadError, FacepadError, InputError, ModelError, RunError
from facepad.files.disk import atomic_path, sha256_file
from facepad.files.locks import exclusive
from facepad.runtime.progress import progress_bar

__all__ = ["PublicFile", "cache_folder", "fetch", "fetch_into", "find_local"]

_LOG = logging.getLogger(__name__)
_TIMEOUT = (5.0, 30.0)
"""Maximum seconds until the server is reached, and maximum seconds without data from the server."""
_CHUNK = 1 << 16
"""Bytes per write; a broken connection loses at most this number of bytes."""


@dataclass(frozen=True, slots=True)
class PublicFile:
    """A file at a public URL.

    Attributes:
        title: Name of the network in messages, such as "YuNet".
        name: Name of the local file.
        url: The URL.
        sha256: SHA-256 of the whole file, 64 hex digits.
        license: SPDX expression; empty if unknown.
        instead: An alternative to the download, as the end of an error message; empty if there is no alternative.
        other_names: Other accepted file names in the folder that the environment variable FACEPAD_MODELS names. These
            names are tried before ``name``.
        folder: Subfolder of `cache_folder` for the file, a relative path.
    """

    title: str
    name: str
    url: str
    sha256: str
    license: str = ""
    instead: str = ""
    other_names: tuple[str, ...] = ()
    folder: str = ""

    @property
    def kept(self) -> Path:
        """The path of the downloaded file."""
        return cache_folder() / self.folder / self.name


def cache_folder() -> Path:
    """The folder for downloads: the folder that FACEPAD_HOME names, or the platform's cache folder."""
    home = os.environ.get("FACEPAD_HOME")
    if home:
        return Path(home)
    import platformdirs  # only here: with FACEPAD_HOME or FACEPAD_MODELS the import is not needed

    return Path(platformdirs.user_cache_dir("facepad"))


def find_local(file: PublicFile) -> Path | None:
    """The file's path on this machine, in the folder that FACEPAD_MODELS names or among earlier downloads; else None.

    The hash of the file is not verified.
    """
    folder = os.environ.get("FACEPAD_MODELS")
    named = [Path(folder, name) for name in (*file.other_names, file.name)] if folder else []
    return next((path for path in (*named, file.kept) if path.is_file()), None)


def fetch(file: PublicFile, path: Path | None = None) -> Path:
    """The file's path: ``path`` if it is given, else the result of `find_local`, else the path of a new download.

    An interrupted download continues where it stopped. A download is logged with the file's licence; if INFO messages
    are logged, a progress bar is shown. If several processes need a file, one downloads it and the others wait.

    Raises:
        ModelError: ``path`` does not exist.
        DownloadError: the download failed; the message says where to get the file.
    """
    if path is not None:
        if not Path(path).is_file():
            raise ModelError(f"{path} is not a file; expected the model of {file.title}, such as {file.name}")
        return Path(path)
    local = find_local(file)
    if local and (local != file.kept or _is_whole(file, local)):
        return local
    return _download_once(file, file.kept)


def fetch_into(file: PublicFile, folder: Path) -> Path:
    """The file's path in ``folder``: a copy of the file on this machine, or a new download.

    The environment variable FACEPAD_MODELS can then name the folder, or a copy of the folder on another machine. A
    complete file in the folder is not replaced.

    Raises:
        DownloadError: the download failed; the message says where to get the file.
        InputError: the folder cannot be created.
        RunError: the folder cannot be written.
    """
    target = folder / file.name
    if _is_whole(file, target):
        return target
    local = find_local(file)
    if local and (local.name in file.other_names or _is_whole(file, local)):
        target = folder / local.name
        if not (target.exists() and target.samefile(local)):
            with atomic_path(target) as temporary:
                shutil.copyfile(local, temporary)
        return target
    return _download_once(file, target)


def _download_once(file: PublicFile, target: Path) -> Path:
    """Download a file to ``target``. If several processes need the file, one downloads it and the others wait."""
    try:
        with exclusive(target.parent, f"downloading {file.name}", wait=True):
            if not _is_whole(file, target):  # another process may have downloaded it meanwhile
                _download(file, target)
    except (OSError, FacepadError) as error:  # no network, a proxy's error page, a full disk: the remedy is the same
        raise DownloadError(
            f"cannot download {file.title} ({_why(error)}): {_remedy(file, target, error)}", _why(error)
        ) from error
    return target


def _remedy(file: PublicFile, target: Path, error: Exception) -> str:
    also = f"; {file.instead}" if file.instead else ""
    models = f"into the folder that FACEPAD_MODELS names, with the name {file.name}{also}"
    if isinstance(error, InputError | RunError):  # The folder cannot be written.
        return (
            "let FACEPAD_HOME name a folder that can be written, or get "
            f"{file.url} on another machine and copy the file {models}"
        )
    begun = not isinstance(error, FacepadError) and _part(target).exists()  # our own message says it itself
    again = "enter the command again, which continues the download, or " if begun else ""
    return f"{again}get {file.url} on another machine and copy the file to {target}, or {models}"


def _part(target: Path) -> Path:
    """The begun download of a file."""
    return target.with_name(f".{target.name}.part")


def _is_whole(file: PublicFile, path: Path) -> bool:
    return path.is_file() and sha256_file(path) == file.sha256


def _download(file: PublicFile, target: Path) -> None:
    _LOG.info("downloading %s%s", file.url, f" (licence: {file.license})" if file.license else "")
    part = _part(target)
    _continue(file, part)
    found = sha256_file(part)
    if found != file.sha256:
        part.unlink()
        raise FacepadError(f"another file is at this URL: its SHA-256 is {found}, expected {file.sha256}")
    part.replace(target)


def _continue(file: PublicFile, part: Path) -> None:
    """Download the rest of a file whose first bytes are in ``part``."""
    import requests  # only here: the import is slow and rarely needed

    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(file.url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # the part is complete or too long; the caller checks the hash
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            start = 0  # the server sends the whole file
        total = start + int(answer.headers["Content-Length"]) if "Content-Length" in answer.headers else None
        shown = _LOG.isEnabledFor(logging.INFO)
        with part.open("ab") as stream, progress_bar(file.title, total, shown=shown, unit="bytes") as advance:
            stream.truncate(start)
            advance(start)
            for chunk in answer.iter_content(_CHUNK):
                stream.write(chunk)
                advance(len(chunk))
    if total is not None and part.stat().st_size < total:
        raise FacepadError("the connection ended early; run the command again to continue the download")


def _why(error: Exception) -> str:
    """The error in one line: our own message, the system's message (a full disk), or the name of a library's error.

    Messages of libraries are not used, because they may have several lines.
    """
    if isinstance(error, FacepadError):
        return str(error)
    return getattr(error, "strerror", None) or type(error).__name__
