"""Sessions of the service in this process: who may open, upload and fetch, when, and how often."""

from __future__ import annotations

import hashlib
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from facepad.client import Client
from facepad.errors import InputError, ResultError
from facepad.service.challenge import Action, Challenge, ChallengeResult, FacePose
from facepad.service.keys import KeyLimits, KeyScope, add_key
from facepad.service.signing import add_signing_key
from facepad.service.webhooks import Webhooks
from helpers.served import ATTACK, DARK, LIVE, clip, encoded, parts, picture, problem

BOTH = ("passive", "challenge")


def opened(client, headers=None, **asked) -> dict:
    response = client.post("/v1/sessions", json={"reference": "anna"} | asked, headers=headers)
    assert response.status_code == 201, response.text
    return response.json()


def bearer(token: str) -> dict:
    return {"Authorization": f"Bearer {token}"}


def upload(client, session: dict, content: bytes = b"", **more):
    sent = more if "files" in more else {"content": content} | more
    return client.post("/v1/uploads", headers=bearer(session["token"]), **sent)


def result(client, session: dict, headers=None) -> dict:
    response = client.get(f"/v1/sessions/{session['id']}", headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture
def clock(monkeypatch):
    """Moves the clocks of the sessions and of the store forward by some seconds."""
    unix, steady, late = time.time, time.monotonic, [0.0]
    monkeypatch.setattr("facepad.service.sessions.time.time", lambda: unix() + late[0])
    monkeypatch.setattr("facepad.service.store.time.monotonic", lambda: steady() + late[0])

    def forward(seconds: float) -> None:
        late[0] += seconds

    return forward


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


def test_refused_upload_keeps_the_token_and_an_unreadable_one_ends_the_session(start, monkeypatch):
    client = start()
    session = opened(client)
    problem(upload(client, session, b"no picture"), "unsupported-media")
    problem(upload(client, session, b""), "bad-request")
    with monkeypatch.context() as full:
        full.setattr(client.app.state.running.gate, "inside", 64)
        problem(upload(client, session, encoded(LIVE)), "busy")
    problem(upload(client, session, encoded(LIVE)[:200]), "unreadable")
    failed = result(client, session)
    assert (failed["state"], failed["answer"]) == ("failed", None)
    assert failed["problem"]["type"] == "urn:facepad:problem:unreadable"
    problem(upload(client, session, encoded(LIVE)), "session-refused")


def test_uploads_into_one_session_are_limited(start):
    client = start()
    session = opened(client)
    for _ in range(10):
        problem(upload(client, session, b"no picture"), "unsupported-media")
    problem(upload(client, session, encoded(LIVE)), "too-many-requests")


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


def test_backend_is_told_when_a_session_ends(start, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("s" * 32)
    told = []
    monkeypatch.setattr(Webhooks, "ended", lambda _, record: told.append((record.id, record.state)))
    client = start(webhook="https://login.example/hook", webhook_secret=tmp_path / "secret")
    done, failed = opened(client), opened(client)
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


def test_key_for_active_checks_opens_no_others(start, tmp_path, monkeypatch):
    monkeypatch.setattr("facepad.service.app.PoseEstimator", Scripted)
    limits = KeyLimits(scopes=frozenset({KeyScope.SESSIONS}), challenge_only=True)
    headers = bearer(add_key(tmp_path / "keys", "strict", limits))
    client = start(api_keys=tmp_path / "keys", challenges=True)
    for checks in (["passive"], ["passive", "challenge"]):
        response = client.post("/v1/sessions", json={"reference": "anna", "checks": checks}, headers=headers)
        problem(response, "out-of-scope")
    problem(client.post("/v1/sessions", json={"reference": "anna"}, headers=headers), "out-of-scope")
    opened(client, headers, checks=["challenge"])
    problem(client.post("/v1/liveness", content=encoded(LIVE), headers=headers), "out-of-scope")


# The active check


class Scripted:
    """An estimator that sees a head turn to its left and back within two seconds, whatever the frame shows."""

    def estimate(self, seconds, image):
        return FacePose(seconds, max(0.0, 40.0 - 80.0 * abs(seconds - 1.2)), 50.0, (32.0, 32.0))


@pytest.fixture
def challenged(start, monkeypatch):
    """Start a service with active checks whose draw is known."""

    def begin(*steps, **settings):
        monkeypatch.setattr("facepad.service.app.PoseEstimator", Scripted)
        monkeypatch.setattr("facepad.service.sessions.draw", lambda _: Challenge(steps))
        return start(challenges=True, **settings)

    return begin


@pytest.fixture
def two_seconds(tmp_path):
    return clip(tmp_path, [LIVE] * 50, rate=25)


def begun(client, **asked) -> dict:
    """A session whose active check has begun."""
    session = opened(client, **{"checks": ["challenge"]} | asked)
    task = client.post("/v1/challenge", headers=bearer(session["token"]))
    assert task.status_code == 200, task.text
    return session | {"steps": task.json()["steps"]}


def judged(client, content: bytes) -> dict:
    session = begun(client)
    assert upload(client, session, content).status_code == 200
    return result(client, session)["answer"]


def test_clip_without_its_challenge_stays_undecided(challenged, two_seconds):
    answer = judged(challenged(Action.TURN_LEFT, Action.COME_CLOSER), two_seconds)
    assert (answer["label"], answer["reasons"]) == (None, ["challenge_failed"])
    assert answer["score"] > 0.5
    assert [step["passed"] for step in answer["challenge"]["steps"]] == [True, False]
    assert "turn_left" in answer["challenge"]["note"]


def test_clip_with_its_challenge_is_decided_by_its_score(challenged, tmp_path, two_seconds, monkeypatch):
    monkeypatch.setattr("facepad.service.judge.check_challenge", lambda poses, _: ChallengeResult(len(poses) == 24, ()))
    client = challenged(Action.TURN_LEFT, Action.COME_CLOSER)
    live = judged(client, two_seconds)
    assert (live["label"], live["challenge"]["passed"], live["reasons"]) == ("bona_fide", True, [])
    assert len(live["files"][0]["frames"]) == 20
    attack = judged(client, clip(tmp_path, [ATTACK] * 50, "attack.mp4", rate=25))
    assert (attack["label"], attack["challenge"]["passed"]) == ("attack", True)
    mixed = judged(client, clip(tmp_path, [LIVE] * 36 + [ATTACK] * 14, "mixed.mp4", rate=25))
    assert (mixed["label"], mixed["challenge"]["passed"]) == ("attack", True)


def test_challenge_is_drawn_once_and_ends_after_a_minute(challenged, two_seconds, clock):
    client = challenged(Action.TURN_LEFT, Action.COME_CLOSER)
    session = opened(client, checks=["challenge"])
    assert "steps" not in session
    problem(upload(client, session, two_seconds), "bad-request")  # The challenge has not begun.
    first = client.post("/v1/challenge", headers=bearer(session["token"])).json()
    assert (first["steps"], first["max_seconds"]) == (["turn_left", "come_closer"], 15)
    assert 55 <= first["expires_in"] <= 60
    clock(50)
    assert client.post("/v1/challenge", headers=bearer(session["token"])).json()["expires_in"] <= 10
    clock(11)
    problem(client.post("/v1/challenge", headers=bearer(session["token"])), "session-refused")
    problem(upload(client, session, two_seconds), "session-refused")


def test_challenges_are_drawn_at_random(start, monkeypatch):
    monkeypatch.setattr("facepad.service.app.PoseEstimator", Scripted)
    client = start(challenges=True, rate=0, attempts=0)
    assert len({tuple(begun(client)["steps"]) for _ in range(60)}) == 6


def test_browser_chooses_among_the_allowed_checks_alone(challenged, two_seconds):
    client = challenged(Action.TURN_LEFT, Action.COME_CLOSER)
    session = opened(client, checks=BOTH)
    assert client.get("/v1/uploads", headers=bearer(session["token"])).json()["checks"] == list(BOTH)
    assert upload(client, session, encoded(LIVE), params={"check": "passive"}).status_code == 200
    chosen = result(client, session)
    assert (chosen["check"], chosen["answer"]["challenge"]) == ("passive", None)
    both = begun(client, checks=BOTH)
    assert upload(client, both, two_seconds).status_code == 200
    assert result(client, both)["check"] == "challenge"
    strict = begun(client)
    problem(upload(client, strict, encoded(LIVE), params={"check": "passive"}), "bad-request")
    passive = opened(client)
    problem(client.post("/v1/challenge", headers=bearer(passive["token"])), "bad-request")
    problem(upload(client, passive, two_seconds, params={"check": "challenge"}), "bad-request")


def test_active_check_takes_one_clip_and_nothing_else(challenged, two_seconds):
    client = challenged(Action.TURN_LEFT, Action.COME_CLOSER)
    session = begun(client)
    problem(upload(client, session, encoded(LIVE)), "bad-request")
    problem(upload(client, session, files=parts(two_seconds, two_seconds)), "bad-request")
    assert upload(client, session, two_seconds).status_code == 200


def test_long_clip_of_an_active_check_is_refused(challenged, tmp_path):
    client = challenged(Action.TURN_LEFT, Action.COME_CLOSER)
    problem(upload(client, begun(client), clip(tmp_path, [LIVE] * 16, rate=1)), "too-large")


def test_service_without_challenges_offers_passive_sessions_alone(start):
    client = start()
    problem(client.post("/v1/sessions", json={"reference": "anna", "checks": ["challenge"]}), "challenges-off")
    assert upload(client, opened(client), encoded(LIVE)).status_code == 200


@pytest.mark.models
def test_turning_head_passes_its_challenge_and_fails_another(start, models_folder, monkeypatch, tmp_path):
    from skimage.data import astronaut

    from helpers.turning_head import TurningHead

    head = TurningHead(astronaut())
    turn = [0] * 10 + [*range(0, 40, 4)] + [*range(40, 0, -4)] + [0] * 4
    turns = [*turn, *(-yaw for yaw in turn[10:])]
    drawn = {yaw: head.frame(yaw=yaw) for yaw in set(turns)}
    content = clip(tmp_path, [drawn[yaw] for yaw in turns], rate=12)
    client = start(challenges=True, timeout=60)
    for steps, passed in (
        ((Action.TURN_LEFT, Action.TURN_RIGHT), True),
        ((Action.TURN_RIGHT, Action.TURN_LEFT), False),
    ):
        monkeypatch.setattr("facepad.service.sessions.draw", lambda _, steps=steps: Challenge(steps))
        answer = judged(client, content)["challenge"]
        assert answer["passed"] is passed, answer
