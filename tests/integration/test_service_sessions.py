"""Sessions of the service in this process: who may open, upload and fetch, when, and how often."""

from __future__ import annotations

import hashlib
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import date

import pytest

from facepad.client import Client
from facepad.errors import InputError, ResultError
from facepad.predict.pipeline import Pipeline
from facepad.predict.predictor import Predictor
from facepad.service.keys import KeyLimits, KeyScope, add_key
from facepad.service.signing import add_signing_key
from facepad.service.webhooks import Webhooks
from helpers.served import (
    ATTACK,
    DARK,
    LIVE,
    bearer,
    encoded,
    opened,
    parts,
    picture,
    problem,
    result,
    upload,
)

# From the opening to the result


def test_backend_gets_the_verdict_and_the_browser_does_not(start, predictor):
    client = start()
    for image, label in ((LIVE, "bona_fide"), (ATTACK, "attack"), (DARK, None)):
        session = opened(client)
        assert (session["reference"], session["checks"], session["expires_in"]) == ("anna", ["passive"], 300)
        before = result(client, session)
        assert (before["state"], before["answer"], before["check"]) == ("open", None, None)
        receipt = upload(client, session, encoded(image))
        assert (receipt.status_code, receipt.json()) == (200, {"state": "done"})
        after = result(client, session)
        assert (after["state"], after["check"], after["reference"]) == ("done", "passive", "anna")
        assert (after["answer"]["label"], after["answer"]["request_id"]) == (label, receipt.headers["x-request-id"])
        assert after["answer"]["model"]["sha256"] == predictor.bundle.sha256
        assert after["problem"] is None


def test_several_files_are_one_presentation_of_a_session(start):
    client = start()
    session = opened(client)
    assert upload(client, session, files=parts(encoded(LIVE), encoded(LIVE))).status_code == 200
    assert len(result(client, session)["answer"]["files"]) == 2


def test_policy_comes_from_the_backend_alone(start):
    client = start()
    mixed = {"files": parts(encoded(LIVE), encoded(LIVE), encoded(ATTACK)), "params": {"policy": "mean"}}
    for policy, label in (("all", "attack"), ("mean", "bona_fide")):
        session = opened(client, policy=policy)
        assert upload(client, session, **mixed).status_code == 200
        answer = result(client, session)["answer"]
        assert (answer["policy"], answer["label"]) == (policy, label)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "reference is missing"),
        ({"reference": "anna", "user_id": 7}, "unknown key 'user_id'"),
        ({"reference": "anna", "check": ["passive"]}, "did you mean 'checks'"),
        ({"reference": ""}, "reference"),
        ({"reference": "anna meier"}, "reference"),
        ({"reference": "a" * 129}, "reference"),
        ({"reference": "anna", "checks": []}, "checks"),
        ({"reference": "anna", "checks": ["active"]}, "checks"),
        ({"reference": "anna", "expires_in": 5}, "expires_in"),
        ({"reference": "anna", "expires_in": 100_000}, "expires_in"),
        ([], "object"),
    ],
)
def test_wrong_request_for_a_session_names_its_field(start, body, said):
    assert said in problem(start().post("/v1/sessions", json=body), "bad-request")["detail"]


def test_body_that_is_no_json_or_too_long_is_refused(start):
    client = start()
    problem(client.post("/v1/sessions"), "bad-request")
    problem(client.post("/v1/sessions", content=b"reference=anna"), "bad-request")
    problem(client.post("/v1/sessions", content=b" " * 5000), "too-large")
    problem(client.post("/v1/sessions", content=iter([b" " * 3000] * 2)), "too-large")


def test_session_for_another_model_is_refused(start, predictor):
    client = start()
    for wanted in ("tiny", predictor.bundle.sha256):
        assert upload(client, opened(client, model=wanted), encoded(LIVE)).status_code == 200
    asked = {"reference": "anna", "model": "0" * 64}
    assert "tiny" in problem(client.post("/v1/sessions", json=asked), "other-model")["detail"]


def test_refusal_of_another_model_names_the_hash_of_a_model_that_is_no_file(start, predictor):
    listed = replace(predictor.bundle, sha256=None)
    client = start(predictor=Predictor(Pipeline(listed)))
    refused = client.post("/v1/sessions", json={"reference": "anna", "model": "other"})
    assert problem(refused, "other-model")["detail"] == f"this service decides with tiny ({listed.digest})"


def test_references_are_limited_apart_and_per_hour(start):
    client = start(attempts=2)
    for reference in ("anna", "anna", "bert"):
        opened(client, reference=reference)
    refused = client.post("/v1/sessions", json={"reference": "anna"})
    assert "2 sessions an hour" in problem(refused, "too-many-requests")["detail"]
    assert 1 <= int(refused.headers["retry-after"]) <= 3600


# Tokens


def test_tokens_and_ids_are_random(start):
    client = start(rate=0, attempts=0)
    sessions = [opened(client) for _ in range(60)]
    assert len({session["token"] for session in sessions} | {session["id"] for session in sessions}) == 120
    assert all(len(session["token"]) >= 43 for session in sessions)


def test_token_holds_once(start):
    client = start()
    session = opened(client)
    assert upload(client, session, encoded(LIVE)).status_code == 200
    problem(upload(client, session, encoded(LIVE)), "session-refused")
    problem(client.get("/v1/uploads", headers=bearer(session["token"])), "session-refused")


def test_of_simultaneous_uploads_one_is_judged(start):
    client = start()
    session = opened(client)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: upload(client, session, encoded(LIVE)), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 7


@pytest.mark.parametrize("headers", [{}, bearer("forged"), bearer(""), {"Authorization": "Basic YTpi"}])
def test_upload_without_a_token_is_refused_before_its_body_is_read(start, headers):
    def body():
        raise AssertionError("the body was read")
        yield

    client = start()
    problem(client.get("/v1/uploads", headers=headers), "session-refused")
    problem(client.post("/v1/challenge", headers=headers), "session-refused")
    problem(client.post("/v1/uploads", headers={"Content-Length": "999999999"} | headers), "session-refused")


def test_token_expires(start, clock):
    client = start()
    session = opened(client, expires_in=60)
    clock(59)
    assert client.get("/v1/uploads", headers=bearer(session["token"])).json()["expires_in"] == 0
    clock(2)
    problem(upload(client, session, encoded(LIVE)), "session-refused")
    assert result(client, session)["state"] == "expired"


def test_result_is_gone_after_minutes(start, clock):
    client = start()
    session = opened(client)
    upload(client, session, encoded(LIVE))
    clock(299)
    assert result(client, session)["state"] == "done"
    clock(2)
    problem(client.get(f"/v1/sessions/{session['id']}"), "not-found")


def test_refused_upload_keeps_the_token_and_an_unreadable_one_ends_the_session(start):
    client = start()
    session = opened(client)
    problem(upload(client, session, b"no picture"), "unsupported-media")
    problem(upload(client, session, b""), "bad-request")
    with ExitStack() as full:
        for _ in range(64):
            full.enter_context(client.app.state.running.gate.admit("address testclient"))
        problem(upload(client, session, encoded(LIVE)), "busy")
    problem(upload(client, session, encoded(LIVE)[:200]), "unreadable")
    failed = result(client, session)
    assert (failed["state"], failed["answer"]) == ("failed", None)
    assert failed["problem"]["type"] == "urn:facepad:problem:unreadable"
    problem(upload(client, session, encoded(LIVE)), "session-refused")


def test_uploads_into_one_session_are_limited(start):
    client = start()
    session = opened(client)
    codes = [upload(client, session, b"no picture").status_code for _ in range(12)]
    assert codes == [415] * 10 + [429] * 2


def test_check_that_fails_inside_ends_the_session(start, predictor, monkeypatch):
    client = start()
    session = opened(client)

    def broken(_):
        raise KeyError("secret")

    with monkeypatch.context() as patched:
        patched.setattr(predictor.pipeline, "examine", broken)
        problem(upload(client, session, encoded(LIVE)), "internal")
    failed = result(client, session)
    assert (failed["state"], failed["problem"]["status"]) == ("failed", 500)
    assert "secret" not in json.dumps(failed)


def test_file_of_an_earlier_session_of_the_key_is_noted(start, tmp_path):
    keys = {name: bearer(add_key(tmp_path / "keys", name)) for name in ("shop", "bank")}
    client = start(api_keys=tmp_path / "keys")

    def noted(content: bytes, who: str = "shop") -> str | None:
        session = opened(client, keys[who])
        assert upload(client, session, content).status_code == 200
        return result(client, session, keys[who])["duplicate_media"]

    first, other = encoded(picture(200, 60, 160)), encoded(picture(60, 200, 160)[:, ::-1])
    assert [noted(first), noted(first), noted(other)] == [None, "exact", None]
    again = encoded(picture(200, 60, 160), ".webp")
    assert noted(again) == "near"
    assert noted(first, "bank") is None  # Another key learns nothing of it.


# Signed results


def test_result_is_signed_over_what_was_judged(start, tmp_path, predictor):
    add_signing_key(tmp_path / "signing.json")
    key = add_key(tmp_path / "keys", "shop")
    client = start(signing_keys=tmp_path / "signing.json", api_keys=tmp_path / "keys", issuer="liveness.example")
    session = opened(client, bearer(key))
    contents = [encoded(LIVE), encoded(picture(190, 70))]
    upload(client, session, files=parts(*contents))
    found = result(client, session, bearer(key))
    with Client("http://localhost", transport=client._transport) as backend:  # noqa: SLF001 - Starlette's
        expected = {"reference": "anna", "session": session["id"], "issuer": "liveness.example"}
        for changed in ({"reference": "bert"}, {"session": "other"}, {"issuer": "facepad"}):
            with pytest.raises(ResultError):
                backend.verify(found["signed"], **expected | changed)
        signed = backend.verify(found["signed"], **expected)
        with pytest.raises(ResultError, match="accepted before"):
            backend.verify(found["signed"], **expected)
    answer = found["answer"]
    assert (signed.live, signed.aud, signed.check, signed.score) == (True, "shop", "passive", answer["score"])
    assert (signed.threshold, signed.request_id) == (answer["threshold"], answer["request_id"])
    assert (signed.model.name, signed.model.sha256) == ("tiny", predictor.bundle.sha256)
    assert list(signed.files) == found["sha256"] == [hashlib.sha256(content).hexdigest() for content in contents]
    assert 250 < signed.exp - signed.iat <= 300


def test_session_without_an_answer_or_without_keys_is_not_signed(start, tmp_path):
    add_signing_key(tmp_path / "signing.json")
    client = start(signing_keys=tmp_path / "signing.json")
    session = opened(client)
    problem(upload(client, session, encoded(LIVE)[:200]), "unreadable")
    assert result(client, session)["signed"] is None
    without = start()
    session = opened(without)
    upload(without, session, encoded(LIVE))
    assert result(without, session)["signed"] is None
    assert without.get("/.well-known/jwks.json").json() == {"keys": []}


def test_decision_of_a_session_is_logged_with_its_reference(start, tmp_path):
    log = tmp_path / "decisions.jsonl"
    client = start(decision_log=log)
    session = opened(client)
    upload(client, session, encoded(LIVE))
    (line,) = map(json.loads, log.read_text().splitlines())
    found = result(client, session)
    assert (line["session"], line["reference"], line["check"]) == (session["id"], "anna", "passive")
    assert (line["request_id"], line["files"]) == (found["answer"]["request_id"], found["sha256"])
    failing = opened(client)
    log.unlink()
    log.mkdir()
    problem(upload(client, failing, encoded(LIVE)), "not-ready")
    assert result(client, failing)["state"] == "failed"


def test_backend_is_told_when_a_session_ends_and_open_sessions_are_watched(start, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("s" * 32)
    told = []
    monkeypatch.setattr(Webhooks, "ended", lambda _, record: told.append((record.id, record.state)))
    watched = []
    monkeypatch.setattr(Webhooks, "opened", lambda _, record, sessions: watched.append(record.id))
    client = start(webhook="https://login.example/hook", webhook_secret=tmp_path / "secret")
    done, failed = opened(client), opened(client)
    assert watched == [done["id"], failed["id"]]
    upload(client, done, encoded(LIVE))
    upload(client, failed, encoded(LIVE)[:200])
    assert told == [(done["id"], "done"), (failed["id"], "failed")]
    with pytest.raises(InputError, match="--webhook-secret"):
        start(webhook="https://login.example/hook")


# Keys


def test_key_opens_and_fetches_its_own_sessions_alone(start, tmp_path):
    keys = {name: bearer(add_key(tmp_path / "keys", name)) for name in ("shop", "bank")}
    client = start(api_keys=tmp_path / "keys")
    problem(client.post("/v1/sessions", json={"reference": "anna"}), "unauthorized")
    session = opened(client, keys["shop"])
    assert upload(client, session, encoded(LIVE)).status_code == 200
    address = f"/v1/sessions/{session['id']}"
    problem(client.get(address), "unauthorized")
    problem(client.get(address, headers=bearer(session["token"])), "unauthorized")
    problem(client.get(address, headers=keys["bank"]), "not-found")
    assert result(client, session, keys["shop"])["state"] == "done"
    # A key is no upload token, and an upload token is no key.
    problem(client.post("/v1/uploads", content=encoded(LIVE), headers=keys["shop"]), "session-refused")
    problem(client.post("/v1/liveness", content=encoded(LIVE), headers=bearer(session["token"])), "unauthorized")


def test_keys_have_scopes_and_an_end(start, tmp_path):
    def key(name, **limits):
        return bearer(add_key(tmp_path / "keys", name, KeyLimits(**limits)))

    def asked(method, address, who, **sent):
        return client.request(method, address, headers=who, **sent)

    session, metrics = (key(scope, scopes=frozenset({scope})) for scope in (KeyScope.SESSIONS, KeyScope.METRICS))
    late = key("late", expires=date(2999, 1, 1))
    (tmp_path / "keys").write_text((tmp_path / "keys").read_text().replace("2999", "2001"))
    client = start(api_keys=tmp_path / "keys")
    picture, opening = {"content": encoded(LIVE)}, {"json": {"reference": "anna"}}
    refused = problem(asked("POST", "/v1/liveness", session, **picture), "out-of-scope")
    assert "sessions" in refused["detail"]
    problem(asked("GET", "/metrics", session), "out-of-scope")
    problem(asked("POST", "/v1/sessions", metrics, **opening), "out-of-scope")
    assert asked("POST", "/v1/sessions", session, **opening).status_code == 201
    for who in (session, metrics):
        assert asked("GET", "/v1/models", who).status_code == 200
    uses = asked("GET", "/metrics", metrics).text
    last = re.search(r'facepad_key_last_use_seconds\{key="sessions"\} (\S+)', uses)
    assert abs(float(last[1]) - time.time()) < 60
    assert "2001" in problem(asked("GET", "/v1/models", late), "unauthorized")["detail"]
    assert 'key="late"' not in asked("GET", "/metrics", metrics).text
