"""Webhooks: their signature, the repeated attempts, and webhooks that must not be believed."""

from __future__ import annotations

import asyncio
import json
import time

import httpx2
import pytest

from facepad.client import verify_webhook
from facepad.errors import InputError, ResultError
from facepad.service.problems import Problem
from facepad.service.schemas import SessionRequest
from facepad.service.sessions import SessionRecord, Sessions
from facepad.service.store import open_store
from facepad.service.telemetry import Telemetry
from facepad.service.webhooks import SIGNATURE, Webhooks, read_secret, sign
from helpers.patience import PATIENCE

SECRET = "s" * 32
TOMORROW = time.time() + 86_400  # the suite takes minutes after the import of this file
RECORD = SessionRecord(id="s1", key="shop", request=SessionRequest(reference="anna"), state="done", until=TOMORROW)
BODY = json.dumps({"session": "s1", "reference": "anna", "state": "done", "key": "shop"}).encode()


def outcomes_of(telemetry: Telemetry) -> dict[str, float]:
    """The counts of webhooks by outcome."""
    samples = telemetry.webhooks.collect()[0].samples
    return {one.labels["outcome"]: one.value for one in samples if one.name.endswith("_total")}


def delivered(answers: list, pauses=(0.0, 0.0), ended: int = 1) -> tuple[list[httpx2.Request], dict[str, float]]:
    """Deliver webhooks to a backend with these answers: the requests that it got, and the counts by outcome."""
    seen, telemetry = [], Telemetry()

    def backend(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        answer = answers[min(len(seen), len(answers)) - 1]
        if isinstance(answer, type):
            raise answer("broken", request=request)
        return httpx2.Response(answer, headers={"Location": "https://elsewhere.example/"})

    async def main():
        hooks = Webhooks(
            "https://login.example/hook", SECRET, telemetry, transport=httpx2.MockTransport(backend), pauses=pauses
        )
        for _ in range(ended):
            hooks.ended(RECORD)
        await hooks.close()

    asyncio.run(main())
    return seen, outcomes_of(telemetry)


def test_backend_gets_a_webhook_that_it_can_verify():
    (request,), outcomes = delivered([200])
    event = verify_webhook(request.content, request.headers[SIGNATURE], SECRET)
    assert (event.session, event.reference, event.state, event.key) == ("s1", "anna", "done", "shop")
    assert (str(request.url), outcomes) == ("https://login.example/hook", {"delivered": 1})


def test_backend_is_told_of_the_sessions_that_expired_without_an_upload():
    seen = []

    def backend(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200)

    async def main():
        hooks = Webhooks(
            "https://login.example/hook", SECRET, Telemetry(), transport=httpx2.MockTransport(backend), pauses=()
        )
        sessions, past = Sessions(open_store(None), attempts=0, keep=300), time.time() - 10
        for name, state, until in (("late", "open", past), ("used", "done", past + 9999), ("new", "open", past + 9999)):
            record = RECORD.model_copy(update={"id": name, "state": state, "until": until})
            await sessions.save(record)
            hooks.opened(record.model_copy(update={"state": "open", "until": min(until, past)}), sessions)
        hooks.opened(RECORD.model_copy(update={"id": "forgotten", "state": "open", "until": past}), sessions)
        hooks.opened(RECORD.model_copy(update={"id": "waits", "state": "open"}), sessions)
        while not seen:
            await asyncio.sleep(0)
        await hooks.close()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    (request,) = seen
    event = verify_webhook(request.content, request.headers[SIGNATURE], SECRET)
    assert (event.session, event.reference, event.state, event.key) == ("late", "anna", "expired", "shop")
    assert json.loads(request.content)["event"] == "session.expired"


@pytest.mark.parametrize(("outages", "outcome"), [(1, "delivered"), (2, "failed")])
def test_expired_session_is_looked_up_again_if_the_store_does_not_answer(outages, outcome, monkeypatch):
    store, telemetry = open_store(None), Telemetry()
    get, trouble = store.sessions.get, [Problem("not-ready", "the store does not answer")] * outages

    async def flaky(key: str) -> str | None:
        if trouble:
            raise trouble.pop()
        return await get(key)

    async def main():
        answers = httpx2.MockTransport(lambda _: httpx2.Response(200))
        hooks = Webhooks("https://login.example/hook", SECRET, telemetry, transport=answers, pauses=(0.0,))
        sessions = Sessions(store, attempts=0, keep=300)
        expired = RECORD.model_copy(update={"state": "open", "until": time.time() - 10})
        await sessions.save(expired)
        monkeypatch.setattr(store.sessions, "get", flaky)
        hooks.opened(expired, sessions)
        while not outcomes_of(telemetry):
            await asyncio.sleep(0)
        await hooks.close()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert outcomes_of(telemetry) == {outcome: 1}


def test_open_sessions_of_a_key_leave_places_to_others_and_ended_sessions_leave_theirs():
    telemetry = Telemetry()

    async def main():
        answers = httpx2.MockTransport(lambda _: httpx2.Response(200))
        hooks = Webhooks("https://login.example/hook", SECRET, telemetry, transport=answers, watched=10)
        sessions = Sessions(open_store(None), attempts=0, keep=300)

        async def is_told_of_expired(key: str) -> bool:
            before = outcomes_of(telemetry)
            expired = RECORD.model_copy(update={"id": "late", "key": key, "state": "open", "until": time.time() - 10})
            await sessions.save(expired)
            hooks.opened(expired, sessions)
            while outcomes_of(telemetry) == before:
                await asyncio.sleep(0)
            (changed,) = set(outcomes_of(telemetry).items()) - set(before.items())
            return changed[0] == "delivered"

        for number in range(10):
            hooks.opened(RECORD.model_copy(update={"id": f"s{number}", "state": "open"}), sessions)
        told = [await is_told_of_expired("login"), await is_told_of_expired("shop")]
        hooks.ended(RECORD.model_copy(update={"id": "s7"}))
        while outcomes_of(telemetry)["delivered"] < 2:
            await asyncio.sleep(0)
        told.append(await is_told_of_expired("shop"))
        await hooks.close()
        return told

    assert asyncio.run(asyncio.wait_for(main(), PATIENCE)) == [True, False, True]
    assert outcomes_of(telemetry) == {"delivered": 3, "unwatched": 1}


def test_webhooks_that_wait_for_their_next_attempt_hold_no_connection(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    connections, most, answered = 0, 0, 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, most, answered
        connections += 1
        most = max(most, connections)
        while await reader.readline():  # The first line of the request; empty at the end of the connection.
            await reader.readuntil(b"\r\n\r\n")
            await reader.readuntil(b"}")
            writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
            answered += 1
        connections -= 1
        writer.close()

    async def main():
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            hooks = Webhooks(f"http://127.0.0.1:{port}/hook", SECRET, Telemetry(), pauses=(10 * PATIENCE,))
            for _ in range(20):
                hooks.ended(RECORD)
            while answered < 20 or connections:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))  # Less than the pause.
    assert most <= 16


@pytest.mark.parametrize("trouble", [500, 404, 302, httpx2.ConnectError, httpx2.ReadTimeout])
def test_webhook_is_repeated_until_it_is_received(trouble):
    seen, outcomes = delivered([trouble, trouble, 204])
    assert len(seen) == 3 and outcomes == {"delivered": 1}
    assert len({request.content for request in seen}) == 1
    assert {request.url.host for request in seen} == {"login.example"}  # A redirect is not followed.


def test_webhook_that_is_never_received_is_counted_and_logged(caplog):
    seen, outcomes = delivered([503])
    assert len(seen) == 3 and outcomes == {"failed": 1}
    assert "webhook of session s1" in caplog.text


def test_waiting_webhooks_are_bounded():
    seen, outcomes = delivered([200], ended=1003)
    assert len(seen) == 1000 and outcomes == {"delivered": 1000, "failed": 3}


@pytest.mark.parametrize(
    ("body", "signature", "said"),
    [
        (BODY + b" ", lambda now: sign(BODY, SECRET, now), "wrong"),
        (BODY, lambda now: sign(BODY, "other" * 8, now), "wrong"),
        (BODY, lambda now: sign(BODY, SECRET, now - 400), "too old"),
        (BODY, lambda now: sign(BODY, SECRET, now + 400), "too old"),
        (BODY, lambda now: sign(BODY, SECRET, now - 400).replace("t=1", "t=2"), "wrong"),
        (BODY, lambda now: "", "no signature"),
        (BODY, lambda now: None, "no signature"),
        (BODY, lambda now: "t=1,v1=0", "another form"),
        (b"[]", lambda now: sign(b"[]", SECRET, now), "another form"),
    ],
    ids=[
        "body changed",
        "other secret",
        "too old",
        "too new",
        "time changed",
        "empty",
        "none",
        "too short",
        "no object",
    ],
)
def test_forged_changed_and_old_webhooks_are_refused(body, signature, said):
    with pytest.raises(ResultError, match=said):
        verify_webhook(body, signature(time.time()), SECRET)


def test_secret_from_its_file_verifies_with_the_end_of_its_line():
    now = time.time()
    assert verify_webhook(BODY, sign(BODY, SECRET, now), f"{SECRET}\n").session


def test_short_secret_and_wrong_address_are_refused(tmp_path):
    (tmp_path / "secret").write_text(f" {SECRET}\n")
    assert read_secret(tmp_path / "secret") == SECRET
    (tmp_path / "secret").write_text("password")
    with pytest.raises(InputError, match="32 random characters") as error:
        read_secret(tmp_path / "secret")
    assert "password" not in str(error.value)
    for url in ("login.example", "ftp://login.example", "https://"):
        with pytest.raises(InputError, match="address"):
            Webhooks(url, SECRET, Telemetry())
