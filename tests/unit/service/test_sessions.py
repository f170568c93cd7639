"""Sessions without HTTP: their states, tokens that hold once, challenges that are drawn once."""

from __future__ import annotations

import asyncio
import time

import pytest

from facepad.service.problems import Problem, problem_document
from facepad.service.schemas import SessionRequest
from facepad.service.sessions import CHALLENGE_SECONDS, Sessions
from facepad.service.store import open_store

BOTH = SessionRequest(reference="anna", checks=("passive", "challenge"))


@pytest.fixture
def sessions(one_minute):
    return Sessions(open_store(None), attempts=3, keep=300)


@pytest.fixture
def clock(monkeypatch):
    """Moves the clock of the sessions, but not of the store, forward."""
    unix, late = time.time, [0.0]
    monkeypatch.setattr("facepad.service.sessions.time.time", lambda: unix() + late[0])

    def forward(seconds: float) -> None:
        late[0] += seconds

    return forward


def run(scenario):
    return asyncio.run(scenario())


def refused(name: str, asking) -> None:
    with pytest.raises(Problem) as raised:
        asyncio.run(asking)
    assert raised.value.name == name


def test_session_goes_from_open_to_failed_and_belongs_to_its_key(sessions):
    async def scenario():
        opened, token = await sessions.open(BOTH, "shop")
        found = await sessions.of_token(token)
        taken = await sessions.take(token, found.model_copy(update={"check": "passive"}), 30)
        failed = await sessions.finish(taken, problem_document(Problem("unreadable", "why"), "r"))
        kept = await sessions.of_id(opened.id, "shop")
        return [one.state_at(time.time()) for one in (opened, found, taken, failed, kept)], kept, token

    states, kept, token = run(scenario)
    assert states == ["open", "open", "judging", "failed", "failed"]
    assert (kept.check, kept.signed, kept.problem.detail) == ("passive", None, "why")
    assert 290 < kept.seconds_left(time.time()) <= 300
    refused("not-found", sessions.of_id(kept.id, "bank"))
    refused("session-refused", sessions.of_token(token))
    refused("session-refused", sessions.of_token(""))


def test_of_simultaneous_takers_one_gets_the_session(sessions):
    async def scenario():
        record, token = await sessions.open(BOTH, "shop")
        return await asyncio.gather(*(sessions.take(token, record, 30) for _ in range(8)), return_exceptions=True)

    taken = run(scenario)
    assert sum(isinstance(one, Problem) for one in taken) == 7


def test_states_end_with_their_time(sessions, clock):
    async def scenario():
        opened, token = await sessions.open(BOTH, "shop")
        judging = await sessions.take(token, opened, 30)
        clock(301)
        return opened.state_at(time.time() + 301), judging.state_at(time.time() + 301)

    assert run(scenario) == ("expired", "failed")


def test_sessions_of_a_reference_are_limited(sessions):
    async def scenario():
        for _ in range(3):
            await sessions.open(BOTH, "shop")
        await sessions.open(BOTH, "bank")
        await sessions.open(BOTH, "shop")

    refused("too-many-requests", scenario())


def test_challenge_is_drawn_once_and_ends(sessions, clock):
    async def scenario():
        record, _ = await sessions.open(BOTH, "shop")
        with pytest.raises(Problem, match="begin the active check first"):
            await sessions.challenge_of(record)
        begun = await asyncio.gather(*(sessions.begin_challenge(record) for _ in range(5)))
        asked = await sessions.challenge_of(record)
        clock(CHALLENGE_SECONDS + 1)
        for late in (sessions.begin_challenge, sessions.challenge_of):
            with pytest.raises(Problem, match="longer than 60 seconds"):
                await late(record)
        return {one.challenge for one in begun}, asked.to_json()

    drawn, asked = run(scenario)
    assert drawn == {asked}


def test_passive_session_has_no_challenge(sessions):
    async def scenario():
        record, _ = await sessions.open(SessionRequest(reference="anna"), "shop")
        await sessions.begin_challenge(record)

    refused("bad-request", scenario())


def test_uploads_into_a_session_are_limited(sessions):
    async def scenario():
        record, _ = await sessions.open(BOTH, "shop")
        for _ in range(11):
            await sessions.limit_uploads(record)

    refused("too-many-requests", scenario())


def test_file_of_an_earlier_session_is_found(sessions):
    async def scenario():
        record, _ = await sessions.open(BOTH, "shop")
        first, again = (record.model_copy(update={"files": (sha256 * 64,)}) for sha256 in "ab")
        found = [await sessions.find_duplicate(one, [[hashed]]) for one, hashed in ((first, 0), (first, 0), (again, 7))]
        return [*found, await sessions.find_duplicate(again.model_copy(update={"files": ("c" * 64,)}), [[2**64 - 1]])]

    assert run(scenario) == [None, "exact", "near", None]


def test_expired_session_is_found_until_the_webhook_about_it_is_sent(monkeypatch):
    steady, late = time.monotonic, [0.0]
    monkeypatch.setattr("facepad.service.store.time.monotonic", lambda: steady() + late[0])

    async def scenario():
        sessions = Sessions(open_store(None), attempts=3, keep=1)
        record, _ = await sessions.open(SessionRequest(reference="account-17"), "shop")
        late[0] = record.request.expires_in + 200
        return await sessions.of_id(record.id, "shop") == record

    assert run(scenario)
