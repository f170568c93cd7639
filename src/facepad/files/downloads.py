"""Public files, such as networks: found in the user's folders, else downloaded from a pinned address."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from facepad.errors import FacepadError, ModelError
from facepad.files.disk import sha256_file
from facepad.files.locks import exclusive
from facepad.runtime.progress import progress_bar

__all__ = ["PublicFile", "cache_folder", "fetch", "find_local"]

_LOG = logging.getLogger(__name__)
_SECONDS = 30.0
"""Maximum seconds without data from the server."""
_CHUNK = 1 << 16
"""Bytes that are written at a time; a connection that breaks loses no more."""


@dataclass(frozen=True, slots=True)
class PublicFile:
    """A file at a public address, and how messages speak of it.

    Attributes:
        title: Whose it is, such as "YuNet".
        name: The file's name in a user's folder.
        url: Its public address.
        sha256: Of the whole file, 64 hex digits.
        license: SPDX expression; empty if it is not known.
        instead: The remedy if the download fails, as the end of a sentence; empty if there is none.
        other_names: Names of equally good files that the folder FACEPAD_MODELS may hold; they are preferred.
        folder: Where `cache_folder` holds it: a relative folder.
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
        """Where the file is kept once it was downloaded."""
        return cache_folder() / self.folder / self.name


def cache_folder() -> Path:
    """Where downloads are kept: the folder that FACEPAD_HOME names; without it the platform's cache folder."""
    home = os.environ.get("FACEPAD_HOME")
    if home:
        return Path(home)
    import platformdirs  # only here: FACEPAD_HOME or FACEPAD_MODELS often make it needless

    return Path(platformdirs.user_cache_dir("facepad"))


def find_local(file: PublicFile) -> Path | None:
    """Where the file is on this machine: in the folder that FACEPAD_MODELS names, or downloaded earlier; else None.

    A file in FACEPAD_MODELS is trusted: its hash is not compared.
    """
    folder = os.environ.get("FACEPAD_MODELS")
    named = [Path(folder, name) for name in (*file.other_names, file.name)] if folder else []
    return next((path for path in (*named, file.kept) if path.is_file()), None)


def fetch(file: PublicFile, path: Path | None = None) -> Path:
    """Where the file is: ``path`` if given, else in a folder of the user's, else downloaded.

    A download that was interrupted continues where it stopped. It is logged with its licence, and shows a progress bar
    where that log is shown. Of several processes that need a file one downloads it, the others wait.

    Raises:
        ModelError: the given file is missing, or there is none and it cannot be downloaded; says what to get.
    """
    if path is not None:
        if not Path(path).is_file():
            raise ModelError(f"{path} is not a file; expected the model of {file.title}, such as {file.name}")
        return Path(path)
    local = find_local(file)
    if local and (local != file.kept or _is_whole(file)):
        return local
    try:
        with exclusive(file.kept.parent, f"downloading {file.name}", wait=True):
            if not _is_whole(file):  # another process may have downloaded it meanwhile
                _download(file)
    except (OSError, FacepadError) as error:  # no network, a proxy's page, a full disk: the same remedy for all of them
        also = f"; {file.instead}" if file.instead else ""
        raise ModelError(
            f"cannot download {file.title} ({_why(error)}): get {file.url} elsewhere and copy it to {file.kept}, or "
            f"as {file.name} into the folder that FACEPAD_MODELS names{also}"
        ) from error
    return file.kept


def _is_whole(file: PublicFile) -> bool:
    return file.kept.is_file() and sha256_file(file.kept) == file.sha256


def _download(file: PublicFile) -> None:
    _LOG.info("downloading %s%s", file.url, f" (licence: {file.license})" if file.license else "")
    part = file.kept.with_name(f".{file.name}.part")
    _continue(file, part)
    found = sha256_file(part)
    if found != file.sha256:
        part.unlink()
        raise FacepadError(f"another file is there: its SHA-256 is {found}, expected {file.sha256}")
    part.replace(file.kept)


def _continue(file: PublicFile, part: Path) -> None:
    """Download what ``part`` does not hold yet."""
    import requests  # only here: it takes a while to import and is rarely needed

    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(file.url, headers=headers, stream=True, timeout=_SECONDS) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # the part is whole already, or longer than the file: its hash will tell
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
        raise FacepadError("the connection ended early; another try continues there")


def _why(error: Exception) -> str:
    """A library's own words may fill several lines: its errors are told by their names."""
    return str(error) if isinstance(error, FacepadError) else type(error).__name__
