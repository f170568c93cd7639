"""API keys from a file of names, hashes and limits. The file is read again when it changes."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

from facepad.errors import InputError, reason, unknown_choice
from facepad.files.disk import read_text, sync_file
from facepad.files.locks import changing
from facepad.service.watched import Watched

__all__ = ["ApiKey", "ApiKeys", "KeyLimits", "KeyScope", "add_key"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY = re.compile(rf"({_NAME.pattern}):([0-9a-f]{{64}})")
_CHALLENGE_ONLY = "challenge-only"


class KeyScope(StrEnum):
    """What a key may be used for."""

    LIVENESS = "liveness"
    SESSIONS = "sessions"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """The limits of a key.

    Attributes:
        expires: The last day in UTC on which the key is valid; None for a key without an end.
        scopes: What the key may be used for.
        challenge_only: Whether the key's sessions must all be active checks. Such a key has no scope ``liveness``.

    Raises:
        InputError: A key for active checks alone has the scope ``liveness``.

    >>> str(KeyLimits(expires=date(2030, 1, 31), scopes=frozenset({KeyScope.SESSIONS})))
    'expires=2030-01-31 scopes=sessions'
    >>> KeyLimits.parse("expires=2030-01-31 scopes=sessions").expires
    datetime.date(2030, 1, 31)
    """

    expires: date | None = None
    scopes: frozenset[KeyScope] = frozenset(KeyScope)
    challenge_only: bool = False

    def __post_init__(self) -> None:
        if self.challenge_only and KeyScope.LIVENESS in self.scopes:
            raise InputError(f"a {_CHALLENGE_ONLY} key has other scopes than liveness: scopes=sessions, for example")

    def __str__(self) -> str:
        words = [] if self.expires is None else [f"expires={self.expires.isoformat()}"]
        if self != KeyLimits.of(self.expires, challenge_only=self.challenge_only):
            words.append(f"scopes={','.join(sorted(self.scopes))}")
        return " ".join(words + ([_CHALLENGE_ONLY] if self.challenge_only else []))

    @classmethod
    def of(cls, expires: date | None = None, scopes: Iterable[str] = (), *, challenge_only: bool = False) -> KeyLimits:
        """The limits with these names of scopes. Without names, the key has all scopes that are possible.

        Raises:
            InputError: A scope is unknown, or is not possible.
        """
        names = [str(scope) for scope in KeyScope]
        for name in (given := list(scopes)):
            if name not in names:
                raise InputError(unknown_choice("scope", name[:20], names))
        every = frozenset(KeyScope) - ({KeyScope.LIVENESS} if challenge_only else set())
        return cls(expires, frozenset(map(KeyScope, given)) or every, challenge_only)

    @classmethod
    def parse(cls, text: str) -> KeyLimits:
        """Read the limits in a line of a key file, in the form of ``str``.

        Raises:
            InputError: The text has another form.
        """
        expires, scopes, challenge_only = None, [], False
        for word in text.split():
            name, _, value = word.partition("=")
            if word == _CHALLENGE_ONLY:
                challenge_only = True
            elif name == "expires":
                expires = _parse_day(value)
            elif name == "scopes":
                scopes = value.split(",")
            else:
                raise InputError(f"expected expires=DAY, scopes=NAME,NAME or {_CHALLENGE_ONLY} after a key")
        return cls.of(expires, scopes, challenge_only=challenge_only)

    def expired(self) -> bool:
        """Whether the last day of the key is over."""
        return self.expires is not None and datetime.now(UTC).date() > self.expires


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A line of a key file: the name, the SHA-256 and the limits of a key."""

    name: str
    digest: str
    limits: KeyLimits


class ApiKeys:
    """The keys of a file with one ``name:sha256`` and limits per line. Empty lines and comments (``#``) are skipped.

    One round of SHA-256 is enough to protect the keys, because the keys are random (`add_key`). A slow hash is only
    needed for secrets that can be guessed. If the file is later missing or malformed, the last valid keys stay in
    force. If the file is valid but has no keys, every call is refused.

    Raises:
        InputError: The file cannot be read, has no key, or has a malformed line. The message names file and line.
    """

    def __init__(self, path: Path) -> None:
        self._keys = Watched(path, _read_keys(path), partial(_read_keys, empty=True))

    def find(self, key: str) -> ApiKey | None:
        """The entry of a key, or None for an unknown key. The comparison takes the same time for every key."""
        digest = _digest(key)
        found = None
        for known in self._keys.content().values():
            if hmac.compare_digest(digest, known.digest):
                found = known
        return found


def add_key(path: Path, name: str, limits: KeyLimits | None = None) -> str:
    """Add a new key to a file, and return the key. A missing file is created, with read permission for the owner only.

    Args:
        path: The file.
        name: Name of the caller, for the log.
        limits: The limits of the key. None means no limits.

    Raises:
        InputError: The name is taken or malformed, the key would be expired, or the file is broken or cannot be
            written.
    """
    limits = limits or KeyLimits()
    if not _NAME.fullmatch(name):
        raise InputError(f"a key's name has 1 to 64 characters of A-Z a-z 0-9 . _ -, got {name!r}")
    if limits.expired():
        raise InputError(f"the key would be expired: its last day is {limits.expires}")
    key = secrets.token_urlsafe(32)
    try:
        with changing(path):
            if path.exists() and name in _read_keys(path, empty=True):
                raise InputError(f"{path}: has a key {name!r} already; remove its line to revoke the key")
            _append_line(path, f"{name}:{_digest(key)} {limits}".rstrip())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({reason(error)})") from error
    return key


def _append_line(path: Path, line: str) -> None:
    """Append a line. A missing file is created for its owner. The file is not replaced: it keeps owner and mode."""
    path.touch(mode=0o600)
    with path.open("rb+") as file:
        content = file.read()
        file.write(b"\n" * bool(content and not content.endswith(b"\n")) + f"{line}\n".encode())
    sync_file(path)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"expected a day such as expires=2030-01-31, got {text[:20]!r}") from None


def _read_keys(path: Path, *, empty: bool = False) -> dict[str, ApiKey]:
    keys: dict[str, ApiKey] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        stripped, _, limits = line.partition("#")[0].strip().partition(" ")
        if not stripped:
            continue
        match = _KEY.fullmatch(stripped)
        if not match or match[1] in keys:
            what = "a second key with this name" if match else "expected name:sha256 of a key"
            raise InputError(f"{path}, line {number}: {what} (facepad api-key NAME {path} adds a key)")
        try:
            keys[match[1]] = ApiKey(match[1], match[2], KeyLimits.parse(limits))
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from None
    if not keys and not empty:
        raise InputError(f"{path}: holds no key; facepad api-key NAME {path} adds a key")
    return keys
