"""The state that all worker processes share: rate limits and sessions, in memory or in Redis."""

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

_MOST_TOKENS = 10_000  # Maximum number of tokens that `MemoryTokens` keeps.
_PREFIX = "facepad:session:"
_STORE_SECONDS = 2.0  # Timeout of a call of the store.


class Tokens(Protocol):
    """Stores values under random tokens. A value expires, and can be taken only once.

    Raises:
        Problem: The store does not answer. Every method except `ready` can raise this error.
    """

    async def put(self, token: str, value: str, seconds: int) -> None:
        """Store a value that expires after some seconds."""
        ...

    async def take(self, token: str) -> str | None:
        """Take a value out of the store; None for an unknown, used or expired token."""
        ...

    async def ready(self) -> bool:
        """Ask whether the store answers."""
        ...


class MemoryTokens:
    """Tokens in the memory of one process. Only the newest 10,000 tokens are kept."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def put(self, token: str, value: str, seconds: int) -> None:
        """Store a value that expires after some seconds."""
        self._values[token] = (value, time.monotonic() + seconds)
        while len(self._values) > _MOST_TOKENS:
            self._values.popitem(last=False)

    async def take(self, token: str) -> str | None:
        """Take a value out of the store; None for an unknown, used or expired token."""
        value, until = self._values.pop(token, ("", -math.inf))
        return value if time.monotonic() < until else None

    async def ready(self) -> bool:
        """Return true, because memory needs no connection."""
        return True


class RedisTokens:
    """Tokens in a Redis server (6.2 or newer, for GETDEL)."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def put(self, token: str, value: str, seconds: int) -> None:
        """Store a value that expires after some seconds."""
        with _store_errors_as_problems():
            await self._client.set(_PREFIX + token, value, ex=seconds)

    async def take(self, token: str) -> str | None:
        """Take a value out of the store; None for an unknown, used or expired token."""
        with _store_errors_as_problems():
            value = await self._client.getdel(_PREFIX + token)
        return value.decode() if isinstance(value, bytes) else value

    async def ready(self) -> bool:
        """Ask whether the Redis server answers."""
        try:
            with _store_errors_as_problems():
                return bool(await self._client.ping())
        except Problem:
            return False


class Store:
    """Rate limits and session tokens.

    Args:
        limiter: The rate limiter.
        tokens: The tokens of sessions.
        close: Function that closes the connections to the store. None if there are no connections.
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
        """Close the connections. A later use of the store opens new connections."""
        if self._close is not None:
            await self._close()

    async def wait(self, client: str, per_minute: int) -> int:
        """Count a request of a client.

        Returns:
            0 if the request is within the limit, otherwise the seconds until the client may try again.

        Raises:
            Problem: The store does not answer.
        """
        limit = RateLimitItemPerMinute(per_minute)
        with _store_errors_as_problems():
            if await self._limiter.hit(limit, client):
                return 0
            window = await self._limiter.get_window_stats(limit, client)
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
        return Store(SlidingWindowCounterRateLimiter(storage_from_string("async+memory://")), MemoryTokens())
    if not address.startswith(("redis://", "rediss://")):
        scheme = address.partition("://")[0]  # The rest of the address may hold a password.
        raise InputError(f"expected the address of a Redis server, redis://HOST:PORT/0, got {scheme!r}")
    from redis.asyncio import ConnectionPool, Redis

    try:
        pool = ConnectionPool.from_url(address, socket_timeout=_STORE_SECONDS, socket_connect_timeout=_STORE_SECONDS)
        storage = storage_from_string(
            f"async+{address}",
            implementation="redispy",
            wrap_exceptions=True,
            connection_pool=pool,  # type: ignore[arg-type]  # Documented, but missing in the type stubs.
        )
    except (ConfigurationError, ValueError) as error:
        raise InputError("the store's address is wrong: expected redis://HOST:PORT/0") from error
    tokens = RedisTokens(Redis(connection_pool=pool))
    return Store(SlidingWindowCounterRateLimiter(storage), tokens, pool.disconnect)
