"""The active check of the service: sessions that ask for head movements."""

from __future__ import annotations

import pytest

from facepad.service.challenge import Action, Challenge, ChallengeResult, FacePose
from facepad.service.keys import KeyLimits, KeyScope, add_key
from helpers.served import ATTACK, LIVE, bearer, clip, encoded, opened, parts, problem, result, upload

BOTH = ("passive", "challenge")


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
