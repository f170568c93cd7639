"""The clients with scripted services (requests, retries, errors) and with the real one."""

from __future__ import annotations

import asyncio
import io
import json
import os
import time
from pathlib import Path

import httpx2
import pytest

from facepad.client import (
    AsyncClient,
    ChallengeTask,
    Client,
    LivenessAnswer,
    OpenedSession,
    Receipt,
    ServedModel,
    SessionRequest,
    SessionResult,
)
from facepad.errors import InputError, RunError, ServiceError
from facepad.types import Label
from helpers.patience import PATIENCE

URL = "http://127.0.0.1:8000"
MODEL = {"name": "m", "format": 1, "sha256": None, "license": "", "scope": "", "threshold": None}
ANSWER = {
    "request_id": "r1",
    "status": "scored",
    "label": "bona_fide",
    "score": 0.9,
    "threshold": 0.5,
    "reasons": [],
    "box": [1, 2, 3, 4],
    "policy": "all",
    "decided_by": {"file": 0, "frames": [0, 0], "frame": 0, "face": 0},
    "depth_map": None,
    "model": MODEL,
    "files": [],
    "challenge": None,
    "timings": {"total": 0.1},
    "facepad": "0.1.0",
}


def problem(name: str, status: int, **headers: str) -> httpx2.Response:
    document = {
        "type": f"urn:facepad:problem:{name}",
        "title": "t",
        "status": status,
        "detail": "why",
        "request_id": "r",
    }
    return httpx2.Response(status, json=document, headers={"Content-Type": "application/problem+json", **headers})


class Service:
    """Gives its answers one after the other, and the last one from then on; an exception is raised."""

    def __init__(self, *answers) -> None:
        self.answers, self.seen = list(answers), []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, type):
            raise answer("broken", request=request)
        if isinstance(answer, httpx2.Response):  # A response can be read once.
            return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return httpx2.Response(200, json=answer)


@pytest.fixture(params=["blocking", "asynchronous"])
def ask(request):
    """Call a method of the blocking or the asynchronous client."""

    def call(transport, method, *words, **options):
        made = {name: options.pop(name) for name in ("key", "timeout", "total", "tries") if name in options}
        if request.param == "blocking":
            with Client(URL, transport=transport, **made) as client:
                return getattr(client, method)(*words, **options)

        async def main():
            async with AsyncClient(URL, transport=transport, **made) as client:
                return await getattr(client, method)(*words, **options)

        return asyncio.run(main())

    return call


@pytest.fixture
def pauses(monkeypatch):
    """The pauses of a client in seconds; no pause is made, but the clock moves on by it."""
    waited: list[float] = []

    async def asleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.setattr(asyncio, "sleep", asleep)
    start = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: start + sum(waited))
    return waited


def test_one_file_is_the_body_and_its_answer_is_read(ask, tmp_path):
    service = Service(ANSWER)
    (tmp_path / "anna.jpg").write_bytes(b"pixels")
    answer = ask(httpx2.MockTransport(service), "check", tmp_path / "anna.jpg", depth=True, key="secret")
    (sent,) = service.seen
    assert (sent.method, str(sent.url)) == ("POST", f"{URL}/v1/liveness?depth=true")
    assert (sent.content, sent.headers["authorization"]) == (b"pixels", "Bearer secret")
    assert (answer.label, answer.live, answer.score, answer.box) == (Label.BONA_FIDE, True, 0.9, (1, 2, 3, 4))


def test_several_files_are_parts_without_their_names(ask, tmp_path):
    service = Service(ANSWER)
    (tmp_path / "anna.jpg").write_bytes(b"first")
    ask(httpx2.MockTransport(service), "check", str(tmp_path / "anna.jpg"), b"second")
    (sent,) = service.seen
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert sent.content.count(b'name="files"') == 2 and b"first" in sent.content and b"second" in sent.content
    assert b"anna" not in sent.content


def test_upload_carries_its_token_and_not_the_key(ask):
    service = Service({"state": "done"})
    assert ask(httpx2.MockTransport(service), "upload", "token", b"clip", check="passive", key="secret").state == "done"
    (sent,) = service.seen
    assert (sent.method, str(sent.url)) == ("POST", f"{URL}/v1/uploads?check=passive")
    assert (sent.content, sent.headers["authorization"]) == (b"clip", "Bearer token")


def test_undecided_is_not_live(ask):
    answer = ask(httpx2.MockTransport(Service(ANSWER | {"label": None})), "check", b"x")
    assert (answer.label, answer.live) == (None, False)


def test_what_a_newer_service_says_besides_is_passed_over(ask):
    assert ask(httpx2.MockTransport(Service(ANSWER | {"mood": "good"})), "check", b"x").live


def test_a_label_that_is_none_is_no_yes(ask):
    with pytest.raises(ServiceError, match="label"):
        ask(httpx2.MockTransport(Service(ANSWER | {"label": "perhaps"})), "check", b"x")


SESSION = {"id": "a/b", "reference": "anna", "checks": ["challenge"], "expires_in": 60}
RESULT = SESSION | {"state": "done", "check": "challenge", "answer": ANSWER, "problem": None}
RESULT |= {"sha256": ["0" * 64], "duplicate_media": None, "signed": None}


def test_open_session_asks_and_reads_id_and_token(ask):
    service = Service(SESSION | {"token": "t"})
    session = ask(httpx2.MockTransport(service), "open_session", SessionRequest("anna", ("challenge",), expires_in=60))
    assert (session.id, session.token, session.checks, session.expires_in) == ("a/b", "t", ("challenge",), 60)
    assert "'t'" not in repr(session)
    (sent,) = service.seen
    assert json.loads(sent.content) == {"reference": "anna", "checks": ["challenge"], "policy": "all", "expires_in": 60}


def test_result_of_a_session_is_live_only_if_done_and_bona_fide(ask):
    for change, live, ended in (
        ({}, True, True),
        ({"answer": ANSWER | {"label": "attack"}}, False, True),
        ({"answer": None, "state": "failed", "problem": {"detail": "why"}}, False, True),
        ({"answer": None, "state": "open"}, False, False),
        ({"state": "judging"}, False, False),
    ):
        service = Service(RESULT | change)
        session = ask(httpx2.MockTransport(service), "session", "a/b")
        assert (session.live, session.ended) == (live, ended)
        assert service.seen[0].url.raw_path == b"/v1/sessions/a%2Fb"


def test_begin_challenge_reads_the_steps(ask):
    service = Service({"steps": ["turn_left"], "expires_in": 60, "max_seconds": 15})
    assert ask(httpx2.MockTransport(service), "begin_challenge", "token").steps == ("turn_left",)
    assert service.seen[0].headers["authorization"] == "Bearer token"


@pytest.mark.parametrize("trouble", [httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError])
def test_broken_connection_is_tried_again(ask, pauses, trouble):
    service = Service(trouble, trouble, ANSWER)
    assert ask(httpx2.MockTransport(service), "check", b"x").live
    assert len(service.seen) == 3 and [request.content for request in service.seen] == [b"x"] * 3
    assert 0 <= pauses[0] <= 0.2 and 0 <= pauses[1] <= 0.4


@pytest.mark.parametrize("name, status", [("busy", 429), ("too-many-requests", 429), ("not-ready", 503)])
def test_busy_service_is_tried_again_no_sooner_than_it_asks(ask, pauses, name, status):
    service = Service(problem(name, status, **{"Retry-After": "3"}), ANSWER)
    assert ask(httpx2.MockTransport(service), "check", b"x").live
    assert 3 <= pauses[0] <= 3.2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 422, 500, 501])
def test_refusal_is_not_tried_again(ask, pauses, status):
    service = Service(problem("some", status))
    with pytest.raises(ServiceError, match=f"answered {status}: why") as raised:
        ask(httpx2.MockTransport(service), "check", b"x")
    assert (raised.value.status, raised.value.name, raised.value.problem["request_id"]) == (status, "some", "r")
    assert len(service.seen) == 1 and not pauses


def test_silence_is_not_tried_again(ask, pauses):
    service = Service(httpx2.ReadTimeout)
    with pytest.raises(ServiceError, match="did not answer in time"):
        ask(httpx2.MockTransport(service), "check", b"x")
    assert len(service.seen) == 1


def test_tries_are_bounded_in_number(ask, pauses):
    service = Service(problem("busy", 429))
    with pytest.raises(ServiceError, match="429"):
        ask(httpx2.MockTransport(service), "check", b"x", tries=3)
    assert len(service.seen) == 3 and len(pauses) == 2


def test_tries_are_bounded_in_time(ask, pauses):
    service = Service(problem("busy", 429, **{"Retry-After": "4"}))
    with pytest.raises(ServiceError):
        ask(httpx2.MockTransport(service), "check", b"x", tries=100, total=10)
    assert len(service.seen) == 3 and sum(pauses) < 10


def test_a_wait_beyond_the_time_left_is_not_begun(ask, pauses):
    service = Service(problem("too-many-requests", 429, **{"Retry-After": "60"}))
    with pytest.raises(ServiceError) as raised:
        ask(httpx2.MockTransport(service), "check", b"x", total=10)
    assert raised.value.name == "too-many-requests" and not pauses


def test_pauses_grow_and_differ(ask, pauses):
    service = Service(problem("busy", 429))
    with pytest.raises(ServiceError):
        ask(httpx2.MockTransport(service), "check", b"x", tries=40, total=1e9)
    assert max(pauses[8:]) > 1 and max(pauses) <= 5 and len(set(pauses)) == 39


@pytest.mark.parametrize("trouble", [httpx2.ReadError, problem("timeout", 503)])
def test_token_that_may_be_used_is_not_sent_again(ask, pauses, trouble):
    service = Service(trouble, {"state": "done"})
    with pytest.raises(ServiceError, match="broken|why"):
        ask(httpx2.MockTransport(service), "upload", "token", b"clip")
    assert len(service.seen) == 1


@pytest.mark.parametrize("trouble", [httpx2.ConnectError, problem("busy", 429)])
def test_token_that_is_not_used_is_sent_again(ask, pauses, trouble):
    service = Service(trouble, {"state": "done"})
    assert ask(httpx2.MockTransport(service), "upload", "token", b"clip").state == "done"
    assert [request.headers["authorization"] for request in service.seen] == ["Bearer token"] * 2


def test_ready_is_asked_once(ask, pauses):
    for answer, expected in ((httpx2.Response(200), True), (problem("not-ready", 503), False)):
        service = Service(answer)
        assert ask(httpx2.MockTransport(service), "ready") is expected and len(service.seen) == 1
    assert ask(httpx2.MockTransport(Service(httpx2.ConnectError)), "ready") is False


def test_answer_of_something_else_is_named(ask):
    page = httpx2.Response(200, text="<html>")
    with pytest.raises(ServiceError, match="an answer that is not facepad's"):
        ask(httpx2.MockTransport(Service(page)), "check", b"x")
    proxy = httpx2.Response(502, text="<html>bad gateway")
    with pytest.raises(ServiceError, match="502: Bad Gateway") as raised:
        ask(httpx2.MockTransport(Service(proxy)), "models")
    assert (raised.value.problem, raised.value.name, isinstance(raised.value, RunError)) == ({}, "", True)


def test_wrong_use_is_refused(ask, tmp_path):
    transport = httpx2.MockTransport(Service(ANSWER))
    with pytest.raises(InputError, match="at least one"):
        ask(transport, "check")
    with pytest.raises(InputError, match=r"missing\.jpg"):
        ask(transport, "check", tmp_path / "missing.jpg")
    for file in ([b"a", b"b"], io.BytesIO(b"a"), None):  # several files are several arguments
        with pytest.raises(InputError, match="expected the path or the bytes of an image or clip, got"):
            ask(transport, "check", file)
    for kind in (Client, AsyncClient):
        for words in (("ftp://a",), ("a.example",), ("http://",), (URL, "key\n"), (URL, "")):
            with pytest.raises(InputError):
                kind(*words)
        with pytest.raises(InputError, match="above 0"):
            kind(URL, tries=0)


def test_client_needs_nothing_of_the_service():
    import subprocess
    import sys

    code = "import sys, facepad.client; print(*{'fastapi', 'uvicorn', 'cv2', 'torch', 'redis'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []


def test_answer_has_the_fields_of_the_service():
    schemas = pytest.importorskip("facepad.service.schemas")
    assert set(LivenessAnswer.model_fields) == set(schemas.Answer.model_fields)
    for kind in (OpenedSession, SessionResult, ChallengeTask, Receipt):
        assert set(kind.model_fields) == set(getattr(schemas, kind.__name__).model_fields)
    assert set(SessionRequest("a", model="m").to_json()) == set(schemas.SessionRequest.model_fields)
    assert set(ServedModel.model_fields) == set(schemas.ModelPart.model_fields)


@pytest.fixture(scope="module")
def app(tmp_path_factory, make_model):
    pytest.importorskip("fastapi")
    from facepad.predict.predictor import load
    from facepad.service.app import create_app
    from facepad.service.settings import Settings

    model = make_model(tmp_path_factory.mktemp("model") / "tiny.facepad")
    return create_app(Settings(), load(model, threads=1))


def test_client_speaks_with_the_service(app, synthetic_faces):
    from starlette.testclient import TestClient

    with TestClient(app) as running, Client(URL, transport=running._transport) as client:  # noqa: SLF001 - Starlette's
        answer = client.check(synthetic_faces[0], depth=True)
        several = client.check(*synthetic_faces[:2])
        assert client.ready() and client.models() == (answer.model,) and answer.model.name == "tiny"
        with pytest.raises(ServiceError) as raised:
            client.check(Path(synthetic_faces[0]).read_bytes()[:2000])
    assert answer.status == "scored" and 0 <= answer.score <= 1 and answer.depth_map.startswith("data:image/png")
    assert len(several.files) == 2
    assert (raised.value.status, raised.value.name) == (422, "unreadable")


def test_client_takes_a_session_to_its_end(app, synthetic_faces):
    from starlette.testclient import TestClient

    with TestClient(app) as running, Client(URL, transport=running._transport) as client:  # noqa: SLF001 - Starlette's
        opened = client.open_session(SessionRequest("anna"))
        assert client.session(opened.id).state == "open"
        client.upload(opened.token, synthetic_faces[0])
        result = client.session(opened.id)
        with pytest.raises(ServiceError) as raised:
            client.upload(opened.token, synthetic_faces[0])
    assert (result.state, result.reference, result.answer.status) == ("done", "anna", "scored")
    assert raised.value.name == "session-refused"


def test_asynchronous_client_speaks_with_the_service(app, synthetic_faces):
    async def main():
        transport = httpx2.ASGITransport(app)
        async with app.router.lifespan_context(app), AsyncClient(URL, transport=transport) as client:
            return await asyncio.gather(*(client.check(face) for face in synthetic_faces[:4]), client.ready())

    *answers, ready = asyncio.run(main())
    assert ready and all(answer.status == "scored" for answer in answers)


@pytest.mark.timeout(PATIENCE)
def test_special_and_endless_files_are_refused_before_they_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with (tmp_path / "long.jpg").open("wb") as stream:
        stream.truncate(7 << 30)
    with Client("http://localhost:1") as client:
        with pytest.raises(InputError, match=r"pipe\.jpg: is not a regular file"):
            client.check(tmp_path / "pipe.jpg")
        with pytest.raises(InputError, match=rf"long\.jpg: has {7 << 30} bytes"):
            client.check(tmp_path / "long.jpg")
