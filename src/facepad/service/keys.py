"""API keys from a file of names and hashes. The file is read again when it changes."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time
from pathlib import Path

from facepad.errors import InputError, reason
from facepad.files.disk import read_text

__all__ = ["CHECK_SECONDS", "ApiKeys", "add_key"]

CHECK_SECONDS = 1.0
"""Minimum seconds between two checks of the key file for changes."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LINE = re.compile(rf"({_NAME.pattern}):([0-9a-f]{{64}})")
_LOG = logging.getLogger("facepad.service")


class ApiKeys:
    """The keys of a file with one ``name:sha256`` per line. Empty lines and comments (``#``) are skipped.

    One round of SHA-256 is enough to protect the keys, because the keys are random (`add_key`). A slow hash is only
    needed for secrets that can be guessed. If the file is later missing or malformed, the last valid keys stay in
    force. If the file is valid but has no keys, every call is refused.

    Raises:
        InputError: The file cannot be read, has no key, or has a malformed line. The message names file and line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = _read_keys(path)
        self._state = _file_state(path)
        self._looked = time.monotonic()

    def name_of(self, key: str) -> str | None:
        """The name of a key, or None for an unknown key. The comparison takes the same time for every key."""
        self._refresh()
        digest = _digest(key)
        found = None
        for name, known in self._keys.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked < CHECK_SECONDS:
            return
        self._looked, state = now, _file_state(self._path)
        if state == self._state:
            return
        self._state = state
        try:
            self._keys = _read_keys(self._path, empty=True)
        except InputError as error:
            _LOG.warning("%s; the keys that were read before remain valid", error)


def add_key(path: Path, name: str) -> str:
    """Add a new key to a file, and return the key. A missing file is created, with read permission for the owner only.

    Raises:
        InputError: The name is taken or malformed, or the file is broken or cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"a key's name has 1 to 64 characters of A-Z a-z 0-9 . _ -, got {name!r}")
    if path.exists() and name in _read_keys(path, empty=True):
        raise InputError(f"{path}: has a key {name!r} already; remove its line to revoke the key")
    key = secrets.token_urlsafe(32)
    try:
        path.touch(mode=0o600)
        with path.open("r+", encoding="utf-8") as file:
            text = file.read()
            file.write(f"{'' if not text or text.endswith(chr(10)) else chr(10)}{name}:{_digest(key)}\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({reason(error)})") from error
    return key


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _file_state(path: Path) -> tuple[int, int, int] | None:
    """File attributes that change when the file changes; None if the file is missing."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read_keys(path: Path, *, empty: bool = False) -> dict[str, str]:
    keys: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        stripped = line.partition("#")[0].strip()
        if not stripped:
            continue
        match = _LINE.fullmatch(stripped)
        if not match or match[1] in keys:
            what = "a second key with this name" if match else "expected name:sha256 of a key"
            raise InputError(f"{path}, line {number}: {what} (facepad api-key NAME {path} adds a key)")
        keys[match[1]] = match[2]
    if not keys and not empty:
        raise InputError(f"{path}: holds no key; facepad api-key NAME {path} adds a key")
    return keys
