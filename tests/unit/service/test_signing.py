"""Signed results: the keys of a file, their rotation, and results that must not be accepted."""

from __future__ import annotations

import base64
import json
import stat
import time
from functools import partial

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from facepad.client import ResultVerifier, verify_result
from facepad.errors import InputError, ResultError
from facepad.service.signing import PREPARED_SECONDS, RESULT_TYPE, Signer, add_signing_key

EXPECTED = {"reference": "anna", "session": "s1"}


def claims(**changes) -> dict:
    now = round(time.time())
    content = {"iss": "facepad", "aud": "shop", "sub": "anna", "jti": "s1", "iat": now, "exp": now + 300}
    decided = {"label": "bona_fide", "status": "scored", "reasons": [], "score": 0.9, "threshold": 0.5}
    made = {
        "check": "passive",
        "policy": "all",
        "model": {"name": "m", "sha256": "0" * 64},
        "files": ["1" * 64],
        "request_id": "r",
        "duplicate_media": None,
    }
    return content | decided | made | changes


@pytest.fixture
def file(tmp_path):
    add_signing_key(tmp_path / "signing.json")
    return tmp_path / "signing.json"


@pytest.fixture
def signer(file):
    return Signer(file)


def made_before(file, seconds: float) -> None:
    """Change the file as if its newest key had been made some seconds earlier."""
    content = json.loads(file.read_text())
    content["keys"][0]["iat"] -= seconds
    file.write_text(json.dumps(content))


def test_signed_result_is_verified_with_the_public_keys(signer):
    keys = signer.public_keys()
    assert "d" not in keys["keys"][0] and keys["keys"][0]["alg"] == "EdDSA"
    result = verify_result(signer.sign(claims()), keys, **EXPECTED)
    assert (result.live, result.sub, result.jti, result.score) == (True, "anna", "s1", 0.9)
    assert not verify_result(signer.sign(claims(label=None)), keys, **EXPECTED).live


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"jti": "s2"}, "another session"),
        ({"sub": "bert"}, "another reference"),
        ({"iss": "other"}, "another issuer than .* --issuer"),
        ({"exp": -60}, "expired"),
        ({"iat": 600}, "not yet valid"),
        ({"label": "yes"}, "another form"),
        ({"exp": None}, "exp"),
        ({"score": None, "files": None}, "another form"),
    ],
)
def test_result_with_other_claims_is_refused(signer, changes, said):
    now = round(time.time())  # Not the time of the import: other tests may take minutes before this one.
    changes = {name: now + value if isinstance(value, int) else value for name, value in changes.items()}
    with pytest.raises(ResultError, match=said):
        verify_result(signer.sign(claims(**changes)), signer.public_keys(), **EXPECTED)


def test_result_of_another_key_type_or_algorithm_is_refused(signer):
    keys = signer.public_keys()
    kid, own = keys["keys"][0]["kid"], Ed25519PrivateKey.generate()
    header = {"kid": kid, "typ": RESULT_TYPE}
    public = base64.urlsafe_b64decode(keys["keys"][0]["x"] + "=")
    forged = [
        jwt.encode(claims(), own, algorithm="EdDSA", headers=header),
        jwt.encode(claims(), own, algorithm="EdDSA", headers=header | {"kid": "other"}),
        jwt.encode(claims(), public, algorithm="HS256", headers=header),  # The public key as a shared secret.
        jwt.encode(claims(), None, algorithm="none", headers=header),
        signer.sign(claims()).rpartition(".")[0] + ".",
        "a.b.c",
        "",
    ]
    for signed in forged:
        with pytest.raises(ResultError):
            verify_result(signed, keys, **EXPECTED)
    of_another_type = jwt.encode(claims(), own, algorithm="EdDSA", headers={"kid": kid, "typ": "JWT"})
    with pytest.raises(ResultError, match="type"):
        verify_result(of_another_type, keys, **EXPECTED)


@pytest.mark.parametrize("signed", [None, ""])
def test_missing_result_is_refused_without_a_look_at_the_keys(signer, signed):
    verifier = ResultVerifier()
    assert not verifier.wants_keys(signed)
    verifier.use_keys(signer.public_keys())
    for verify in (verifier.accept, partial(verify_result, keys=signer.public_keys())):
        with pytest.raises(ResultError, match="there is no signed result"):
            verify(signed, **EXPECTED)


def test_every_changed_character_is_noticed(signer):
    signed, keys = signer.sign(claims()), signer.public_keys()
    for place in range(0, len(signed) - 1, 7):
        changed = signed[:place] + ("A" if signed[place] != "A" else "B") + signed[place + 1 :]
        with pytest.raises(ResultError):
            verify_result(changed, keys, **EXPECTED)


def test_verifier_accepts_a_session_once_and_forgets_it_after_its_end(signer, monkeypatch):
    verifier = ResultVerifier()
    signed = signer.sign(claims())
    assert verifier.wants_keys(signed)
    with pytest.raises(ResultError, match="not among the public keys"):
        verifier.accept(signed, **EXPECTED)
    verifier.use_keys(signer.public_keys())
    assert not verifier.wants_keys(signed)
    assert verifier.accept(signed, **EXPECTED).live
    for again in (signed, signer.sign(claims(score=0.8))):
        with pytest.raises(ResultError, match="accepted before"):
            verifier.accept(again, **EXPECTED)


def test_keys_are_not_fetched_for_every_forged_result(signer):
    verifier = ResultVerifier()
    verifier.use_keys(signer.public_keys())
    header = {"kid": "unknown", "typ": RESULT_TYPE}
    forged = jwt.encode(claims(), Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=header)
    assert not verifier.wants_keys(forged)


def test_file_is_for_its_owner_and_a_new_key_is_published_before_it_signs(file, signer, monkeypatch):
    monkeypatch.setattr("facepad.service.watched.CHECK_SECONDS", 0.0)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (first,) = (key["kid"] for key in signer.public_keys()["keys"])
    assert jwt.get_unverified_header(signer.sign(claims()))["kid"] == first
    with pytest.raises(InputError, match="only"):
        add_signing_key(file)
    made_before(file, PREPARED_SECONDS)
    second = add_signing_key(file)
    assert [key["kid"] for key in signer.public_keys()["keys"]] == [second, first]
    before = signer.sign(claims())
    assert jwt.get_unverified_header(before)["kid"] == first
    made_before(file, PREPARED_SECONDS)
    after = signer.sign(claims())
    assert jwt.get_unverified_header(after)["kid"] == second
    for signed in (before, after):
        assert verify_result(signed, signer.public_keys(), **EXPECTED).live
    third = add_signing_key(file)
    assert [key["kid"] for key in signer.public_keys()["keys"]] == [third, second]
    with pytest.raises(ResultError):
        verify_result(before, signer.public_keys(), **EXPECTED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"keys": []}',
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "secret", "d": "secret", "kid": "a", "iat": 1}]}',
        '{"keys": [{"kty": "oct", "k": "secret", "kid": "a", "iat": 1}]}',
    ],
)
def test_broken_file_is_refused_without_its_content(tmp_path, text):
    (tmp_path / "signing.json").write_text(text)
    with pytest.raises(InputError, match="not a file of signing keys") as error:
        Signer(tmp_path / "signing.json")
    assert "secret" not in str(error.value)
