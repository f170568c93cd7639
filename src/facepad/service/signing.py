"""Signs the results of sessions with Ed25519, by the keys of a file. The file is read again when it changes."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facepad.client.results import REPORT_TYPE
from facepad.errors import InputError
from facepad.files.disk import json_text, read_text, sync_file, writing
from facepad.files.locks import changing
from facepad.service.sessions import SessionRecord
from facepad.service.watched import Watched

__all__ = ["PREPARED_SECONDS", "RESULT_TYPE", "Signer", "add_signing_key", "claims_of"]

PREPARED_SECONDS = 300.0
"""Seconds for which a new key is published before it signs. Every process then knows the key in time."""

RESULT_TYPE = "facepad-result+jwt"
"""The type in the header of a signed result."""

_KEPT = 2  # Number of keys in the file: the new key, and the key before it.


class _Key(BaseModel):
    """A private key as a JSON Web Key. ``iat`` is the Unix time at which the key was made."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    kty: str = Field(pattern="^OKP$")
    crv: str = Field(pattern="^Ed25519$")
    x: str
    d: str = Field(repr=False)
    kid: str = Field(min_length=1)
    iat: float

    def public(self) -> dict[str, str]:
        return {"kty": self.kty, "crv": self.crv, "x": self.x, "kid": self.kid, "alg": "EdDSA", "use": "sig"}

    def private(self) -> Ed25519PrivateKey:
        key = OKPAlgorithm.from_jwk(self.model_dump(include={"kty", "crv", "x", "d"}))
        assert isinstance(key, Ed25519PrivateKey)  # The file holds private Ed25519 keys only.
        return key


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    keys: tuple[_Key, ...] = Field(min_length=1)


class Signer:
    """The signing keys of a file, which `add_signing_key` makes.

    Raises:
        InputError: The file cannot be read, or is not a file of signing keys.
    """

    def __init__(self, path: Path) -> None:
        self._keys = Watched(path, _read_keys(path), _read_keys)

    def sign(self, claims: Mapping[str, Any], kind: str = RESULT_TYPE) -> str:
        """Sign claims as a compact JWS, with the newest key that has been published long enough.

        Args:
            claims: The claims.
            kind: The type in the header.
        """
        keys = self._keys.content()
        prepared = [key for key in keys if time.time() - key.iat >= PREPARED_SECONDS]
        key = prepared[0] if prepared else keys[-1]
        headers = {"kid": key.kid, "typ": kind}
        return jwt.encode(dict(claims), key.private(), algorithm="EdDSA", headers=headers)

    def sign_report(self, sha256: str) -> str:
        """Sign the manifest of a report (inputs.json) with this SHA-256."""
        return self.sign({"iat": int(time.time()), "sha256": sha256}, REPORT_TYPE)

    def public_keys(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set."""
        return {"keys": [key.public() for key in self._keys.content()]}


def add_signing_key(path: Path) -> str:
    """Add a new key to a file of signing keys, and keep the key before it. A missing file is created, for its owner.

    Returns:
        The name of the new key.

    Raises:
        InputError: The newest key is younger than `PREPARED_SECONDS`, or the file is broken, or its folder is missing.
        RunError: The file cannot be written.
    """
    with writing(path), changing(path):
        return _add_signing_key(path)


def _add_signing_key(path: Path) -> str:
    keys = _read_keys(path) if path.exists() else ()
    if keys and (age := time.time() - keys[0].iat) < PREPARED_SECONDS:
        raise InputError(
            f"{path}: its newest key is only {age:.0f} s old, and signs after {PREPARED_SECONDS:.0f} s; "
            "delete the file to replace a leaked key at once"
        )
    jwk = json.loads(OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate()))
    made = _Key(**jwk, kid=secrets.token_urlsafe(12), iat=int(time.time()))
    temporary = path.with_name(f".{path.name}.new")
    temporary.touch(mode=0o600)
    temporary.write_text(json_text({"keys": [key.model_dump() for key in (made, *keys)[:_KEPT]]}), encoding="utf-8")
    sync_file(temporary)
    temporary.replace(path)
    return made.kid


def claims_of(record: SessionRecord, issuer: str) -> dict[str, Any]:
    """The claims about the result of a finished session."""
    answer, now = record.answer, int(time.time())
    assert answer is not None  # Only a session with an answer is signed.
    return {
        "iss": issuer,
        "aud": record.key,
        "sub": record.request.reference,
        "jti": record.id,
        "iat": now,
        "exp": now + round(record.until - time.time()),
        "label": answer.label,
        "status": answer.status,
        "reasons": answer.reasons,
        "score": answer.score,
        "threshold": answer.threshold,
        "check": record.check,
        "policy": answer.policy,
        "model": {"name": answer.model.name, "sha256": answer.model.sha256},
        "files": record.files,
        "duplicate_media": record.duplicate_media,
        "request_id": answer.request_id,
    }


def _read_keys(path: Path) -> tuple[_Key, ...]:
    text = read_text(path)
    try:
        keys = _KeyFile.model_validate_json(text).keys
        for key in keys:
            key.private()
    except (ValidationError, jwt.InvalidKeyError, ValueError):
        # The message of the error may contain a key.
        raise InputError(f"{path} is not a file of signing keys (facepad signing-key {path} makes one)") from None
    return keys
