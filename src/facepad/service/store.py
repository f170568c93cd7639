"""What must be the same in all worker processes: rate limits and sessions, in memory or in Redis."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from limits import RateLimitItemPerMinute
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from facepad.errors import InputError
from facepad.service.problems import Problem

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["MemoryTokens", "RedisTokens", "Store", "Tokens", "open_store"]

_MOST = 10_000  # tokens kept in memory; more could only come from someone who wants to fill it
_PREFIX = "facepad:session:"
_PATIENCE = 2.0  # seconds


class Tokens(Protocol):
    """Values that live for a while under random names, and are taken once.

    Raises:
        Problem: the store does not answer; but for `ready`, which says so.
    """

    async def put(self, token: str, value: str, seconds: int) -> None:
        """Keep a value for some seconds."""
        ...

    async def take(self, token: str) -> str | None:
        """The value, which is then gone; None if there is none (any more)."""
        ...

    async def ready(self) -> bool:
        """Whether the store answers."""
        ...


class MemoryTokens:
    """Tokens of one process; the oldest give way to more than 10,000."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def put(self, token: str, value: str, seconds: int) -> None:
        """See `Tokens`."""
        self._values[token] = (value, time.monotonic() + seconds)
        while len(self._values) > _MOST:
            self._values.popitem(last=False)

    async def take(self, token: str) -> str | None:
        """See `Tokens`."""
        value, until = self._values.pop(token, ("", -math.inf))
        return value if time.monotonic() < until else None

    async def ready(self) -> bool:
        """See `Tokens`."""
        return True


class RedisTokens:
    """Tokens in a Redis server (6.2 or newer, for GETDEL)."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def put(self, token: str, value: str, seconds: int) -> None:
        """See `Tokens`."""
        with _answering():
            await self._client.set(_PREFIX + token, value, ex=seconds)

    async def take(self, token: str) -> str | None:
        """See `Tokens`."""
        with _answering():
            value = await self._client.getdel(_PREFIX + token)
        return value.decode() if isinstance(value, bytes) else value

    async def ready(self) -> bool:
        """See `Tokens`."""
        try:
            with _answering():
                return bool(await self._client.ping())
        except Problem:
            return False


class Store:
    """Rate limits, and tokens.

    Args:
        limiter: Counts requests.
        tokens: Sessions.
        close: Ends what connects to the store.
    """

    def __init__(
        self,
        limiter: SlidingWindowCounterRateLimiter,
        tokens: Tokens,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._limiter, self._close = limiter, close
        self.tokens = tokens

    async def close(self) -> None:
        """Let go of the store; it can be used again."""
        if self._close is not None:
            await self._close()

    async def wait(self, client: str, per_minute: int) -> int:
        """Count a request; 0, or the seconds after which the client may try again.

        Raises:
            Problem: the store does not answer.
        """
        limit = RateLimitItemPerMinute(per_minute)
        with _answering():
            if await self._limiter.hit(limit, client):
                return 0
            window = await self._limiter.get_window_stats(limit, client)
        return max(1, math.ceil(window.reset_time - time.time()))


@contextmanager
def _answering() -> Iterator[None]:
    """What a store that is away raises becomes a problem: nothing is judged that could not be counted."""
    from redis.exceptions import RedisError

    try:
        yield
    except (StorageError, RedisError, OSError):
        raise Problem("not-ready", "the store does not answer", retry_after=1) from None


def open_store(address: str | None) -> Store:
    """The store at an address; None keeps everything in this process.

    Raises:
        InputError: it is none of a Redis server.
    """
    if address is None:
        return Store(SlidingWindowCounterRateLimiter(storage_from_string("async+memory://")), MemoryTokens())
    if not address.startswith(("redis://", "rediss://")):
        scheme = address.partition("://")[0]  # the rest may hold a password
        raise InputError(f"expected the address of a Redis server, redis://HOST:PORT/0, got {scheme!r}")
    from redis.asyncio import ConnectionPool, Redis

    try:
        pool = ConnectionPool.from_url(address, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE)
        storage = storage_from_string(
            f"async+{address}",
            implementation="redispy",
            wrap_exceptions=True,
            connection_pool=pool,  # type: ignore[arg-type]  # its types leave out what its documentation has
        )
    except (ConfigurationError, ValueError) as error:
        raise InputError("the store's address is wrong: expected redis://HOST:PORT/0") from error
    tokens = RedisTokens(Redis(connection_pool=pool))
    return Store(SlidingWindowCounterRateLimiter(storage), tokens, pool.disconnect)
