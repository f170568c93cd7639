"""The state that all worker processes share: rate limits and sessions, in memory or in Redis."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from limits import RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from facepad.errors import InputError
from facepad.service.problems import Problem

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = [
    "MOST_RECENT",
    "MemoryRecent",
    "MemoryValues",
    "Recent",
    "RedisRecent",
    "RedisValues",
    "Store",
    "Values",
    "open_store",
]

MOST_RECENT = 4000
"""Maximum number of texts that are kept under one key of `Recent`."""

_RECENT_SECONDS = 24 * 3600
_CLEAN_SECONDS = 60.0  # Least seconds between two searches for expired values in memory.
_STORE_SECONDS = 2.0  # Timeout of a call of the store.
_STORE_CONNECTIONS = 32  # Of a process to Redis. Further calls wait for a connection.


class Values(Protocol):
    """Stores texts under keys. Each value expires.

    Raises:
        Problem: The store does not answer. Every method except `ready` can raise this error.
    """

    async def put(self, key: str, value: str, seconds: float) -> None:
        """Store a value that expires after some seconds."""
        ...

    async def put_once(self, key: str, value: str, seconds: float) -> bool:
        """Store a value if the key has none. Of several simultaneous calls, one stores its value and gets true."""
        ...

    async def get(self, key: str) -> str | None:
        """The value of a key; None for an unknown or expired key."""
        ...

    async def take(self, key: str) -> str | None:
        """Remove a value and return it; None for an unknown, taken or expired key. One of several callers gets it."""
        ...

    async def ready(self) -> bool:
        """Ask whether the store answers."""
        ...


class MemoryValues:
    """Values in the memory of one process. Only the newest values are kept. `put` removes expired values once a minute.

    Args:
        values: Maximum number of values.
        characters: Maximum length of all values together.
    """

    def __init__(self, values: int = 10_000, characters: int = 64_000_000) -> None:
        self._most_values, self._most_characters = values, characters
        self._values: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._characters = 0
        self._cleaned = time.monotonic()

    async def put(self, key: str, value: str, seconds: float) -> None:
        """Store a value that expires after some seconds."""
        self._remove(key)
        self._remove_expired()
        self._values[key] = (value, time.monotonic() + seconds)
        self._characters += len(value)
        while len(self._values) > self._most_values or self._characters > self._most_characters:
            self._remove(next(iter(self._values)))

    async def put_once(self, key: str, value: str, seconds: float) -> bool:
        """Store a value if the key has none."""
        if await self.get(key) is not None:
            return False
        await self.put(key, value, seconds)
        return True

    async def get(self, key: str) -> str | None:
        """The value of a key; None for an unknown or expired key."""
        value, until = self._values.get(key, ("", -math.inf))
        return value if time.monotonic() < until else None

    async def take(self, key: str) -> str | None:
        """Remove a value and return it; None for an unknown, taken or expired key."""
        value = await self.get(key)
        self._remove(key)
        return value

    async def ready(self) -> bool:
        """Return true, because memory needs no connection."""
        return True

    def _remove_expired(self) -> None:
        now = time.monotonic()
        if now - self._cleaned < _CLEAN_SECONDS:
            return
        self._cleaned = now
        for key in [key for key, (_, until) in self._values.items() if until <= now]:
            self._remove(key)

    def _remove(self, key: str) -> None:
        value, _ = self._values.pop(key, ("", 0.0))
        self._characters -= len(value)


class RedisValues:
    """Values in a Redis server (6.2 or newer, for GETDEL).

    Args:
        client: The client of the server.
        prefix: The text before each key.
    """

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    async def put(self, key: str, value: str, seconds: float) -> None:
        """Store a value that expires after some seconds."""
        with _store_errors_as_problems():
            await self._client.set(self._prefix + key, value, px=_milliseconds(seconds))

    async def put_once(self, key: str, value: str, seconds: float) -> bool:
        """Store a value if the key has none."""
        with _store_errors_as_problems():
            return bool(await self._client.set(self._prefix + key, value, px=_milliseconds(seconds), nx=True))

    async def get(self, key: str) -> str | None:
        """The value of a key; None for an unknown or expired key."""
        with _store_errors_as_problems():
            return _text(await self._client.get(self._prefix + key))

    async def take(self, key: str) -> str | None:
        """Remove a value and return it; None for an unknown, taken or expired key."""
        with _store_errors_as_problems():
            return _text(await self._client.getdel(self._prefix + key))

    async def ready(self) -> bool:
        """Ask whether the Redis server answers."""
        try:
            with _store_errors_as_problems():
                return bool(await self._client.ping())
        except Problem:
            return False


def _milliseconds(seconds: float) -> int:
    return max(1, round(1000 * seconds))


def _text(value: bytes | str | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


class Recent(Protocol):
    """Keeps the newest texts under a key, for at most a day."""

    async def add(self, key: str, texts: Sequence[str]) -> list[str]:
        """Add texts, and return the texts before them, newest first.

        Raises:
            Problem: The store does not answer.
        """
        ...


class MemoryRecent:
    """The newest texts, in the memory of one process."""

    def __init__(self) -> None:
        self._texts: dict[str, deque[tuple[str, float]]] = {}

    async def add(self, key: str, texts: Sequence[str]) -> list[str]:
        """Add texts, and return the texts before them, newest first."""
        kept, now = self._texts.setdefault(key, deque(maxlen=MOST_RECENT)), time.monotonic()
        earlier = [text for text, until in kept if now < until]
        kept.extendleft((text, now + _RECENT_SECONDS) for text in texts)
        return earlier


class RedisRecent:
    """The newest texts, in a Redis server."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def add(self, key: str, texts: Sequence[str]) -> list[str]:
        """Add texts, and return the texts before them, newest first."""
        name = f"facepad:recent:{key}"
        with _store_errors_as_problems():
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.lrange(name, 0, -1)
                pipeline.lpush(name, *texts)
                pipeline.ltrim(name, 0, MOST_RECENT - 1)
                pipeline.expire(name, _RECENT_SECONDS)
                earlier = (await pipeline.execute())[0]
        return [text for text in map(_text, earlier) if text is not None]


class Store:
    """Rate limits and values that expire.

    Args:
        limiter: The rate limiter.
        values: Function that opens the values of one kind, such as ``session``. The kinds have separate keys.
        recent: The newest texts.
        close: Function that closes the connections to the store. None if there are no connections.
    """

    def __init__(
        self,
        limiter: SlidingWindowCounterRateLimiter,
        values: Callable[[str], Values],
        recent: Recent,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._limiter, self._close = limiter, close
        self.sessions, self.tokens, self.challenges = map(values, ("session", "token", "challenge"))
        self.requests, self.recordings = map(values, ("request", "recording"))
        self.recent = recent

    async def ready(self) -> bool:
        """Ask whether the store answers."""
        return await self.sessions.ready()

    async def close(self) -> None:
        """Close the connections. A later use of the store opens new connections."""
        if self._close is not None:
            await self._close()

    async def wait(self, client: str, limit: int, *, hours: bool = False) -> int:
        """Count an action of a client, such as a request.

        Args:
            client: The name under which the actions are counted.
            limit: Maximum number of actions per minute.
            hours: Whether the limit is per hour.

        Returns:
            0 if the action is within the limit, otherwise the seconds until the client may try again.

        Raises:
            Problem: The store does not answer.
        """
        item = (RateLimitItemPerHour if hours else RateLimitItemPerMinute)(limit)
        with _store_errors_as_problems():
            if await self._limiter.hit(item, client):
                return 0
            window = await self._limiter.get_window_stats(item, client)
        return max(1, math.ceil(window.reset_time - time.time()))


@contextmanager
def _store_errors_as_problems() -> Iterator[None]:
    """Convert errors of an unreachable store to a problem: rates and sessions cannot be checked without the store."""
    from redis.exceptions import RedisError

    try:
        yield
    except (StorageError, RedisError, OSError):
        raise Problem("not-ready", "the store does not answer", retry_after=1) from None


def open_store(address: str | None) -> Store:
    """Open the store at an address. None means a store in the memory of this process.

    Raises:
        InputError: The address is not the address of a Redis server.
    """
    if address is None:
        limiter = SlidingWindowCounterRateLimiter(storage_from_string("async+memory://"))
        return Store(limiter, lambda _: MemoryValues(), MemoryRecent())
    if not address.startswith(("redis://", "rediss://")):
        scheme = address.partition("://")[0]  # The rest of the address may hold a password.
        raise InputError(f"expected the address of a Redis server, redis://HOST:PORT/0, got {scheme!r}")
    from redis.asyncio import BlockingConnectionPool, Redis

    try:
        pool = BlockingConnectionPool.from_url(
            address,
            max_connections=_STORE_CONNECTIONS,
            timeout=_STORE_SECONDS,
            socket_timeout=_STORE_SECONDS,
            socket_connect_timeout=_STORE_SECONDS,
        )
        storage = storage_from_string(
            f"async+{address}",
            implementation="redispy",
            wrap_exceptions=True,
            connection_pool=pool,  # type: ignore[arg-type]  # Documented, but missing in the type stubs.
        )
    except (ConfigurationError, ValueError) as error:
        raise InputError("the store's address is wrong: expected redis://HOST:PORT/0") from error
    client = Redis(connection_pool=pool)
    limiter = SlidingWindowCounterRateLimiter(storage)
    return Store(limiter, lambda kind: RedisValues(client, f"facepad:{kind}:"), RedisRecent(client), pool.disconnect)
