"""The count of the files that a run over a folder does not read, by file name ending."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath

__all__ = ["NotRead", "ending_of"]

_SHOWN = 10  # Maximum number of endings in the text.


@dataclass
class NotRead:
    """The files that a run over a folder does not read. It is false as long as there are none.

    Attributes:
        endings: File name ending in lower case, or another kind such as "hidden" -> number of files.

    >>> found = NotRead()
    >>> for name in ("a.gif", "b/c.GIF", "README"):
    ...     found.add(name)
    >>> str(found)
    '3 files were not read: 2 .gif, 1 without an ending'
    """

    endings: Counter[str] = field(default_factory=Counter)

    def add(self, name: str) -> None:
        """Count a file by its name."""
        self.endings[ending_of(name)] += 1

    def __bool__(self) -> bool:
        return bool(self.endings)

    def __str__(self) -> str:
        total = self.endings.total()
        return f"{total} {'file was' if total == 1 else 'files were'} not read: {self.counts}"

    @property
    def counts(self) -> str:
        """The number of files of each ending, in one line, the most frequent ending first."""
        most = self.endings.most_common(_SHOWN)
        others = self.endings.total() - sum(count for _, count in most)
        return ", ".join([f"{count} {kind}" for kind, count in most] + ([f"{others} others"] if others else []))


def ending_of(name: str) -> str:
    """The ending of a file name in lower case, or "without an ending".

    >>> ending_of("a/IMG_1.DNG"), ending_of("README")
    ('.dng', 'without an ending')
    """
    # Escaped, because a file name may hold commands for the terminal, or bytes that are not text.
    return ascii(PurePath(name).suffix.lower())[1:-1] or "without an ending"
