"""Live guidance of the active check: frames of a running recording tell which steps were seen, and decide nothing."""

from __future__ import annotations

import asyncio
import threading

import cv2
import numpy as np
import pytest

from facepad.service.challenge import Action, Challenge, FacePose, Progress
from facepad.service.guidance import Guide
from facepad.service.keys import add_key
from facepad.service.problems import Problem
from facepad.service.settings import Settings
from facepad.service.store import open_store
from helpers.patience import PATIENCE
from helpers.served import LIVE, bearer, encoded, opened, problem, result, upload

STEPS = (Action.TURN_LEFT, Action.COME_CLOSER)
SECONDS = 0.2  # From one frame to the next.


class Painted:
    """An estimator that reads the pose from the colour: red is the yaw, green the size; black shows nobody."""

    def estimate(self, seconds, image):
        red, green, _ = image.reshape(-1, 3).mean(axis=0)
        return None if green < 10 else FacePose(seconds, red - 128, green, (32.0, 32.0))


def frame(yaw: float = 0, size: float = 50, *, side: int = 48) -> bytes:
    """A frame with this pose."""
    return encoded(np.full((side, side, 3), (128 + yaw, size, 0), np.uint8), ".jpg")


NOBODY = encoded(np.zeros((48, 48, 3), np.uint8), ".jpg")


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """The service waits for the pose of a frame, also on a busy machine."""
    monkeypatch.setattr("facepad.service.guidance.FRAME_SECONDS", PATIENCE)


@pytest.fixture
def guided(start, monkeypatch):
    """Start a service whose challenge is to turn left, then to come closer."""

    def begin(estimator=Painted, **settings):
        monkeypatch.setattr("facepad.service.app.PoseEstimator", estimator)
        monkeypatch.setattr("facepad.service.sessions.draw", lambda _: Challenge(STEPS))
        return start(challenges=True, **settings)

    return begin


def begun(client, **asked) -> str:
    """The upload token of a session whose active check has begun."""
    token = opened(client, **{"checks": ["challenge"]} | asked)["token"]
    assert client.post("/v1/challenge", headers=bearer(token)).status_code == 200
    return token


def guide(client, token: str, content: bytes, **params):
    return client.post("/v1/guidance", headers=bearer(token), content=content, params=params)


@pytest.fixture
def watched(guided, clock):
    """Send frames one after another; returns the steps seen and the hint after each."""
    client = guided()
    token = begun(client)

    def send(*frames: bytes) -> list[tuple[int, str | None]]:
        answers = []
        for number, content in enumerate(frames):
            response = guide(client, token, content, **({"start": True} if number == 0 else {}))
            assert response.status_code == 200, response.text
            assert set(response.json()) == {"seen", "hint"}  # No score, no angle and no verdict.
            answers.append((response.json()["seen"], response.json()["hint"]))
            clock(SECONDS)
        return answers

    return send


STRAIGHT = [frame()] * 4


def test_each_step_is_seen_as_soon_as_it_is_complete(watched):
    answers = watched(*STRAIGHT, frame(15), frame(30), frame(20), frame(5), frame(0, 60), frame(0, 70))

    assert answers[:4] == [(0, None)] * 4
    assert answers[4:] == [(0, None), (0, "look_back"), (0, None), (1, None), (1, None), (2, None)]


def test_missing_face_is_told_after_half_a_second(watched):
    assert watched(*STRAIGHT, *[NOBODY] * 3, frame())[4:] == [(0, None), (0, None), (0, "no_face"), (0, None)]
    assert watched(NOBODY) == [(0, "no_face")]


def test_recording_that_would_fail_is_told_to_start_again(watched):
    assert watched(*STRAIGHT, frame(-30), frame())[4:] == [(0, "look_back"), (0, "start_again")]
    assert watched(*[frame(20)] * 5) == [(0, None)] * 3 + [(0, "start_again")] * 2


def test_another_recording_begins_anew(watched):
    assert watched(*STRAIGHT, frame(30), frame())[-1] == (1, None)
    assert watched(*STRAIGHT)[-1] == (0, None)


def test_guidance_leaves_the_token_valid_and_the_clip_decides_alone(guided):
    client = guided()
    session = opened(client, checks=["passive", "challenge"])
    client.post("/v1/challenge", headers=bearer(session["token"]))
    assert guide(client, session["token"], frame()).status_code == 200

    assert upload(client, session, encoded(LIVE), params={"check": "passive"}).status_code == 200
    answer = result(client, session)["answer"]

    assert (answer["label"], answer["challenge"]) == ("bona_fide", None)
    problem(guide(client, session["token"], frame()), "session-refused")  # The token is used.


def test_guidance_needs_the_token_of_a_running_active_check(guided, clock):
    client = guided()
    problem(client.post("/v1/guidance", content=frame()), "session-refused")
    problem(guide(client, "forged", frame()), "session-refused")
    problem(guide(client, opened(client)["token"], frame()), "bad-request")  # A passive session.
    problem(guide(client, opened(client, checks=["challenge"])["token"], frame()), "bad-request")  # It has not begun.
    token = begun(client)
    clock(61)
    problem(guide(client, token, frame()), "session-refused")  # The check is over; the session is still open.
    token = begun(client, expires_in=30)
    clock(31)
    problem(guide(client, token, frame()), "session-refused")


def test_service_without_challenges_guides_nobody(start):
    client = start()
    problem(guide(client, opened(client)["token"], frame()), "challenges-off")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "unsupported-media"),
        (encoded(LIVE, ".png"), "unsupported-media"),
        (frame()[:200], "unreadable"),
        (frame(side=648), "too-large"),
        (b"\xff\xd8\xff" + bytes(128 * 1024), "too-large"),
    ],
    ids=["empty", "png", "truncated", "pixels", "bytes"],
)
def test_unusable_frame_is_refused_and_the_next_one_is_not(guided, content, name):
    client = guided()
    token = begun(client)
    problem(guide(client, token, content), name)
    assert guide(client, token, frame()).json() == {"seen": 0, "hint": None}


def test_frame_is_refused_by_its_header_before_it_is_decoded(guided, monkeypatch):
    client = guided()
    token = begun(client)
    large = cv2.imencode(".jpg", np.zeros((5000, 5000, 3), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 1])[1].tobytes()
    monkeypatch.setattr("facepad.service.examiner.read_image", lambda *_, **__: pytest.fail("it was decoded"))
    monkeypatch.setattr("facepad.service.session_routes.FRAME_BYTES", len(large))
    assert "5000x5000" in problem(guide(client, token, large), "too-large")["detail"]


def test_frames_are_counted_per_session(guided, monkeypatch):
    monkeypatch.setattr("facepad.service.sessions.FRAMES", 3)
    client = guided()
    token, other = begun(client), begun(client)
    for _ in range(3):
        assert guide(client, token, frame()).status_code == 200
    refused = guide(client, token, frame())
    assert "3 frames a minute" in problem(refused, "too-many-requests")["detail"]
    assert int(refused.headers["retry-after"]) > 0
    assert guide(client, other, frame()).status_code == 200


class Waiting(Painted):
    """An estimator that waits."""

    go = threading.Event()

    def estimate(self, seconds, image):
        assert self.go.wait(PATIENCE)
        return super().estimate(seconds, image)


def asked_at_once(*callers: str) -> list:
    """The answers, or their problems, of a guide with one thread and four places, for one frame of each caller."""

    async def scenario():
        guide = Guide(Waiting(), open_store(None), Settings(workers=10_000))
        asked = [
            asyncio.ensure_future(guide.follow(str(number), Challenge(STEPS), frame(), start=True, caller=caller))
            for number, caller in enumerate(callers)
        ]
        await asyncio.sleep(0)
        Waiting.go.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        guide.close()
        return [answer.name if isinstance(answer, Problem) else answer for answer in answers]

    Waiting.go.clear()
    return asyncio.run(scenario())


def test_frames_beyond_the_places_of_the_guide_are_refused_and_the_others_answered():
    assert asked_at_once(*["shop"] * 6) == [Progress(0)] * 4 + ["busy", "busy"]


def test_caller_is_admitted_while_another_caller_holds_all_places_of_the_guide():
    assert asked_at_once(*["shop"] * 5, "bank") == [Progress(0)] * 4 + ["busy", Progress(0)]


def test_frames_belong_to_the_caller_that_opened_the_session(guided, tmp_path, monkeypatch):
    callers = []

    async def follow(self, *_, caller="", **__):
        callers.append(caller)
        return Progress(0)

    monkeypatch.setattr(Guide, "follow", follow)
    key = add_key(tmp_path / "keys", "shop")
    client = guided(api_keys=tmp_path / "keys")
    token = opened(client, bearer(key), checks=["challenge"])["token"]
    client.post("/v1/challenge", headers=bearer(token))
    assert guide(client, token, frame()).status_code == 200
    assert callers == ["shop"]


def test_late_answer_is_not_waited_for(guided, monkeypatch):
    monkeypatch.setattr("facepad.service.guidance.FRAME_SECONDS", 0.01)
    Waiting.go.clear()
    client = guided(Waiting)
    try:
        problem(guide(client, begun(client), frame()), "timeout")
    finally:
        Waiting.go.set()
