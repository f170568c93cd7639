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

_MOST_TOKENS = 10_000  # In memory; only an attacker makes more of them.
_PREFIX = "facepad:session:"
_STORE_SECONDS = 2.0  # Time limit of a call of the store.


class Tokens(Protocol):
    """Values under random names that expire, and that can be taken once.

    Raises:
        Problem: The store does not answer (from every method but `ready`).
    """

    async def put(self, token: str, value: str, seconds: int) -> None:
        """Keep a value for some seconds."""
        ...

    async def take(self, token: str) -> str | None:
        """Take the value out; None when there is none, or none any more."""
        ...

    async def ready(self) -> bool:
        """Whether the store answers."""
        ...


class MemoryTokens:
    """Tokens in the memory of one process, which keeps the newest 10,000."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def put(self, token: str, value: str, seconds: int) -> None:
        """Keep a value for some seconds."""
        self._values[token] = (value, time.monotonic() + seconds)
        while len(self._values) > _MOST_TOKENS:
            self._values.popitem(last=False)

    async def take(self, token: str) -> str | None:
        """Take the value out; None when there is none, or none any more."""
        value, until = self._values.pop(token, ("", -math.inf))
        return value if time.monotonic() < until else None

    async def ready(self) -> bool:
        """Always true: memory needs no connection."""
        return True


class RedisTokens:
    """Tokens in a Redis server (6.2 or newer, for GETDEL)."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def put(self, token: str, value: str, seconds: int) -> None:
        """Keep a value for some seconds."""
        with _answering():
            await self._client.set(_PREFIX + token, value, ex=seconds)

    async def take(self, token: str) -> str | None:
        """Take the value out; None when there is none, or none any more."""
        with _answering():
            value = await self._client.getdel(_PREFIX + token)
        return value.decode() if isinstance(value, bytes) else value

    async def ready(self) -> bool:
        """Whether the Redis server answers."""
        try:
            with _answering():
                return bool(await self._client.ping())
        except Problem:
            return False


class Store:
    """Rate limits and session tokens.

    Args:
        limiter: Counts requests.
        tokens: The tokens of sessions.
        close: Closes the connections to the store; None when there are none.
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
        """Close the connections; a later call opens them again."""
        if self._close is not None:
            await self._close()

    async def wait(self, client: str, per_minute: int) -> int:
        """Count a request of a client.

        Returns:
            0 when the request is within the limit, else the seconds after which the client may try again.

        Raises:
            Problem: The store does not answer.
        """
        limit = RateLimitItemPerMinute(per_minute)
        with _answering():
            if await self._limiter.hit(limit, client):
                return 0
            window = await self._limiter.get_window_stats(limit, client)
        return max(1, math.ceil(window.reset_time - time.time()))


@contextmanager
def _answering() -> Iterator[None]:
    """Make the errors of an absent store a problem: a request that cannot be counted is not judged."""
    from redis.exceptions import RedisError

    try:
        yield
    except (StorageError, RedisError, OSError):
        raise Problem("not-ready", "the store does not answer", retry_after=1) from None


def open_store(address: str | None) -> Store:
    """The store at an address; None keeps everything in this process.

    Raises:
        InputError: The address is not one of a Redis server.
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
            connection_pool=pool,  # type: ignore[arg-type]  # Documented, but missing from its types.
        )
    except (ConfigurationError, ValueError) as error:
        raise InputError("the store's address is wrong: expected redis://HOST:PORT/0") from error
    tokens = RedisTokens(Redis(connection_pool=pool))
    return Store(SlidingWindowCounterRateLimiter(storage), tokens, pool.disconnect)
