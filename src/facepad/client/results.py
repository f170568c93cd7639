"""Verifies signed results: who signed, what was decided, for which session, and that no result is accepted twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import jwt
from jwt.utils import base64url_decode, base64url_encode
from pydantic import BaseModel, ConfigDict, ValidationError

from facepad.errors import ResultError, shown
from facepad.types import Label, ScoreStatus

__all__ = ["REPORT_TYPE", "ResultVerifier", "SignedResult", "verify_report_signature", "verify_result"]

REPORT_TYPE = "facepad-report+jwt"
"""The type in the header of a signed report."""

_TYPE = "facepad-result+jwt"
_CLAIMS = ("iss", "aud", "sub", "jti", "iat", "exp")
_LEEWAY = 10.0  # Seconds by which the clocks of the service and of this machine may differ.
_FETCH_SECONDS = 10.0  # Minimum seconds between two fetches of the public keys.


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    sha256: str


class SignedResult(BaseModel):
    """The verified content of a signed result.

    Attributes:
        sub: The reference of the session.
        jti: The id of the session.
        aud: Name of the API key that opened the session.
        iat, exp: The Unix times in seconds of the signature and of the expiry.
        label: The decision; None for an undecided presentation.
        status, reasons, score, threshold: The same as in the answer.
        check: The check that was made, ``passive`` or ``challenge``.
        policy: The policy that turned files and frames into the decision.
        model: Name and SHA-256 of the model that decided.
        files: SHA-256 of each judged file.
        duplicate_media: ``exact`` or ``near`` if a file was uploaded before; see the how-to page on serving.
        request_id: The id of the upload.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    sub: str
    jti: str
    aud: str
    iat: int
    exp: int
    label: Label | None
    status: ScoreStatus
    reasons: tuple[str, ...]
    score: float | None
    threshold: float | None
    check: str
    policy: str
    model: _Model
    files: tuple[str, ...]
    duplicate_media: str | None
    request_id: str

    @property
    def live(self) -> bool:
        """Whether the presentation is live. False means an attack or an undecided presentation."""
        return self.label is Label.BONA_FIDE


def verify_result(
    signed: str | None, keys: Mapping[str, Any], *, reference: str, session: str, issuer: str = "facepad"
) -> SignedResult:
    """Verify a signed result. The caller must also make sure that he accepts each session only once.

    Args:
        signed: The compact JWS, from the field ``signed`` of a session. None, the value of a session without a
            decision and of a service without signing keys, is refused.
        keys: The JSON Web Key Set of the service, from ``/.well-known/jwks.json``.
        reference: The reference that the session must have.
        session: The id that the session must have.
        issuer: The name of the service (``facepad serve --issuer``).

    Raises:
        ResultError: The result is forged, changed, expired, of another service, session or reference, or signed by an
            unknown key.
    """
    if not signed:
        raise ResultError("there is no signed result: the session has no decision, or the service signs no results")
    key = _key_of(signed, keys)
    try:
        claims = jwt.decode(
            signed,
            key,
            algorithms=["EdDSA"],
            issuer=issuer,
            leeway=_LEEWAY,
            options={"require": list(_CLAIMS), "verify_aud": False},
        )
        result = SignedResult.model_validate(claims)
    except jwt.InvalidIssuerError:
        raise ResultError(f"the signed result has another issuer than {shown(issuer)} (serve --issuer)") from None
    except jwt.PyJWTError as error:
        raise ResultError(f"the signed result is not valid: {error}") from None
    except ValidationError as error:
        raise ResultError(f"the signed result has another form: {error.errors()[0]['msg']}") from None
    if result.jti != session:
        raise ResultError("the signed result belongs to another session")
    if result.sub != reference:
        raise ResultError("the signed result belongs to another reference")
    return result


def verify_report_signature(signed: str, keys: Mapping[str, Any], sha256: str) -> None:
    """Verify that one of the keys signed the manifest of a report.

    Args:
        signed: The compact JWS, from inputs.jws.
        keys: The JSON Web Key Set of the signer.
        sha256: SHA-256 of inputs.json.

    Raises:
        ResultError: The signature is forged, is of another file, or is by an unknown key.
    """
    key = _key_of(signed, keys, REPORT_TYPE)
    try:
        claims = jwt.decode(signed, key, algorithms=["EdDSA"], leeway=_LEEWAY, options={"require": ["iat", "sha256"]})
    except jwt.PyJWTError as error:
        raise ResultError(f"the signature is not valid: {error}") from None
    if claims["sha256"] != sha256:
        raise ResultError("the signature is of another file")


class ResultVerifier:
    """Verifies signed results with the public keys of one service, and accepts the result of each session once.

    The accepted sessions are in the memory of this process. Several processes need a database with a unique session id
    instead.
    """

    def __init__(self) -> None:
        self._keys: Mapping[str, Any] = {"keys": []}
        self._fetched = -_FETCH_SECONDS
        self._accepted: dict[str, float] = {}
        self._lock = threading.Lock()

    def wants_keys(self, signed: str | None) -> bool:
        """Whether the public keys must be fetched: the key of the result is unknown, and the last fetch is not new."""
        if not signed:
            return False
        try:
            _key_of(signed, self._keys)
        except ResultError:
            return time.monotonic() - self._fetched >= _FETCH_SECONDS
        return False

    def use_keys(self, keys: Mapping[str, Any]) -> None:
        """Verify with this JSON Web Key Set from now on."""
        self._keys, self._fetched = keys, time.monotonic()

    def accept(self, signed: str | None, *, reference: str, session: str, issuer: str = "facepad") -> SignedResult:
        """Verify a result, and accept it once.

        Raises:
            ResultError: The result must not be accepted; see `verify_result`. Or it was accepted before.
        """
        result = verify_result(signed, self._keys, reference=reference, session=session, issuer=issuer)
        now = time.time()
        with self._lock:
            self._accepted = {jti: until for jti, until in self._accepted.items() if until > now}
            if result.jti in self._accepted:
                raise ResultError("the signed result was accepted before")
            self._accepted[result.jti] = result.exp + 2 * _LEEWAY  # Longer than the result is valid.
        return result


def _key_of(signed: str, keys: Mapping[str, Any], kind: str = _TYPE) -> jwt.PyJWK:
    """The Ed25519 key that a signed result or report names in its header."""
    try:
        if any(base64url_encode(base64url_decode(part)).decode() != part for part in signed.split(".")):
            raise ResultError("not a signed result: its base64 is not canonical")
        header = jwt.get_unverified_header(signed)
    except ValueError as error:
        raise ResultError(f"not a signed result: {error}") from None
    except jwt.PyJWTError as error:
        raise ResultError(f"not a signed result: {error}") from None
    if header.get("typ") != kind or header.get("alg") != "EdDSA":
        raise ResultError(f"expected a result of type {kind}, signed by EdDSA")
    for key in keys.get("keys", ()):
        if key.get("kid") == header.get("kid") and (key.get("kty"), key.get("crv")) == ("OKP", "Ed25519"):
            try:
                return jwt.PyJWK(key, algorithm="EdDSA")
            except jwt.PyJWTError as error:
                raise ResultError(f"a public key of the service is not valid: {error}") from None
    raise ResultError("it was signed by a key that is not among the public keys")
