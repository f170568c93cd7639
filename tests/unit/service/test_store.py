"""Sessions and rate limits in memory and in a real Redis."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from contextlib import closing
from types import SimpleNamespace

import pytest

from facepad.errors import InputError
from facepad.service import store as store_module
from facepad.service.problems import Problem
from facepad.service.store import MemoryValues, open_store
from helpers.patience import PATIENCE, end, eventually
from helpers.ports import free_port


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """Address of a Redis server without files."""
    command = shutil.which("redis-server")
    if not command:
        pytest.skip("redis-server is not installed")
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    process = subprocess.Popen(
        [command, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _answers(process, port), "a Redis server")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        end(process)


def _answers(process: subprocess.Popen, port: int) -> bool:
    assert process.poll() is None, "the Redis server has ended"
    with closing(socket.socket()) as probe:
        return not probe.connect_ex(("127.0.0.1", port))


@pytest.fixture(params=["memory", "redis"])
def address(request, one_minute, monkeypatch):
    monkeypatch.setattr(store_module, "_STORE_SECONDS", PATIENCE)
    return None if request.param == "memory" else request.getfixturevalue("redis")


def run(scenario, address):
    async def whole():
        store = open_store(address)
        try:
            return await scenario(store)
        finally:
            await store.close()

    return asyncio.run(whole())


def test_token_is_taken_once_by_one(address):
    async def scenario(store):
        await store.tokens.put("once", "value", 60)
        assert await store.tokens.get("once") == "value"
        return await asyncio.gather(*(store.tokens.take("once") for _ in range(20)))

    taken = run(scenario, address)
    assert sorted(value or "" for value in taken) == [""] * 19 + ["value"]


def test_value_is_stored_once_by_one(address):
    async def scenario(store):
        stored = await asyncio.gather(*(store.challenges.put_once("one", str(number), 60) for number in range(20)))
        return stored, await store.challenges.get("one")

    stored, value = run(scenario, address)
    assert sum(stored) == 1 and value == str(stored.index(True))


def test_kinds_of_values_have_keys_of_their_own(address):
    async def scenario(store):
        await store.tokens.put("same", "token", 60)
        await store.sessions.put("same", "session", 60)
        return await store.tokens.take("same"), await store.sessions.get("same"), await store.tokens.get("same")

    assert run(scenario, address) == ("token", "session", None)


def test_unknown_token_has_no_value(address):
    async def scenario(store):
        return await store.tokens.take("unknown")

    assert run(scenario, address) is None


def test_token_expires(address):
    async def scenario(store):
        await store.tokens.put("short", "value", 0.3)
        await asyncio.sleep(0.5)
        again = await store.tokens.put_once("short", "next", 60)
        return again, await store.tokens.take("short")

    assert run(scenario, address) == (True, "next")


def test_memory_keeps_no_more_tokens_than_its_limit():
    async def scenario(store):
        for number in range(10_001):
            await store.tokens.put(str(number), "value", 60)
        return await store.tokens.take("0"), await store.tokens.take("10000")

    assert run(scenario, None) == (None, "value")


def test_memory_keeps_no_more_characters_than_its_limit():
    values = MemoryValues(characters=100)

    async def scenario():
        for number in range(5):
            await values.put(str(number), "x" * 40, 60)
        await values.put("4", "y" * 90, 60)
        return [await values.get(str(number)) for number in range(5)]

    assert asyncio.run(scenario()) == [None] * 4 + ["y" * 90]


def test_memory_forgets_expired_values(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(store_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    values = MemoryValues(characters=100)

    async def scenario():
        await values.put("long", "x" * 40, 600)
        await values.put("short", "x" * 40, 10)
        now[0] += 61
        await values.put("new", "x" * 60, 600)  # Without the expired value, there is room for all others.
        return [await values.get(key) for key in ("long", "short", "new")]

    assert asyncio.run(scenario()) == ["x" * 40, None, "x" * 60]


def test_redis_is_shared_by_all_who_open_it(redis):
    async def scenario():
        first, second = open_store(redis), open_store(redis)
        await first.tokens.put("shared", "value", 60)
        waits = [await store.wait("caller-of-both", 2) for store in (first, second, first)]
        value = await second.tokens.take("shared")
        await asyncio.gather(first.close(), second.close())
        return value, waits

    value, waits = asyncio.run(scenario())
    assert value == "value"
    assert waits[:2] == [0, 0]
    assert 1 <= waits[2] <= 60


def test_newest_texts_are_kept_per_key(address, monkeypatch):
    monkeypatch.setattr("facepad.service.store.MOST_RECENT", 3)

    async def scenario(store):
        seen = [await store.recent.add(f"a-{address}", texts) for texts in (["1"], ["2", "3"], ["4"], ["5"])]
        return seen, await store.recent.add(f"b-{address}", ["6"])

    seen, other = run(scenario, address)
    assert seen == [[], ["1"], ["3", "2", "1"], ["4", "3", "2"]] and other == []


def test_limit_per_hour_is_counted_apart(address):
    async def scenario(store):
        name = f"hours-{address}"
        waits = [await store.wait(name, 1, hours=True) for _ in range(2)]
        return waits, await store.wait(name, 1)

    (first, second), minute = run(scenario, address)
    assert (first, minute) == (0, 0) and 1 <= second <= 3600


def test_rate_is_counted_by_caller(address):
    async def scenario(store):
        name = f"caller-{address}"
        return [await store.wait(name, 3) for _ in range(4)], await store.wait(f"other-{address}", 3)

    waits, other = run(scenario, address)
    assert (waits[:3], other) == ([0, 0, 0], 0)
    assert 1 <= waits[3] <= 60


def test_store_that_is_away_is_a_problem_and_not_ready():
    port = free_port()

    async def scenario(store):
        for asking in (store.tokens.put("a", "b", 1), store.tokens.take("a"), store.wait("c", 1)):
            with pytest.raises(Problem, match="does not answer"):
                await asking
        return await store.ready()

    assert run(scenario, f"redis://127.0.0.1:{port}/0") is False


@pytest.mark.parametrize("address", ["http://:secret@host", "secret", "redis://:secret/x@h:1/0"])
def test_wrong_address_is_refused_without_its_password(address):
    with pytest.raises(InputError, match="redis://HOST:PORT/0") as error:
        open_store(address)
    assert "secret" not in str(error.value) or address == "secret"
