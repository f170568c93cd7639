"""API keys from a file of names and hashes. The file is read again when it changes."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from functools import partial
from pathlib import Path

from facepad.errors import InputError, reason
from facepad.files.disk import read_text
from facepad.service.watched import Watched

__all__ = ["ApiKeys", "add_key"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LINE = re.compile(rf"({_NAME.pattern}):([0-9a-f]{{64}})")


class ApiKeys:
    """The keys of a file with one ``name:sha256`` per line. Empty lines and comments (``#``) are skipped.

    One round of SHA-256 is enough to protect the keys, because the keys are random (`add_key`). A slow hash is only
    needed for secrets that can be guessed. If the file is later missing or malformed, the last valid keys stay in
    force. If the file is valid but has no keys, every call is refused.

    Raises:
        InputError: The file cannot be read, has no key, or has a malformed line. The message names file and line.
    """

    def __init__(self, path: Path) -> None:
        self._keys = Watched(path, _read_keys(path), partial(_read_keys, empty=True))

    def name_of(self, key: str) -> str | None:
        """The name of a key, or None for an unknown key. The comparison takes the same time for every key."""
        digest = _digest(key)
        found = None
        for name, known in self._keys.content().items():
            if hmac.compare_digest(digest, known):
                found = name
        return found


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
