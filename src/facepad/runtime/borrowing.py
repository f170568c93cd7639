"""Objects that one thread at a time may use, such as networks that own their buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

__all__ = ["Borrowing"]

Item = TypeVar("Item")


class Borrowing(Generic[Item]):
    """Lends equal objects to threads. There are only as many as were ever borrowed at once, however many threads come.

    Args:
        make: Function that makes another object. It is called if none is free.
        first: Objects that were made before.

    >>> lists = Borrowing(list)
    >>> with lists.borrowed() as mine:
    ...     mine.append(1)
    >>> with lists.borrowed() as first, lists.borrowed() as second:
    ...     first, second
    ([1], [])
    """

    def __init__(self, make: Callable[[], Item], *first: Item) -> None:
        self._make = make
        self._free = list(first)  # The methods of a list need no lock.

    @contextmanager
    def borrowed(self) -> Iterator[Item]:
        """An object that nobody else has until the block ends. The last that was given back comes first."""
        try:
            item = self._free.pop()
        except IndexError:
            item = self._make()
        try:
            yield item
        finally:
            self._free.append(item)
