"""Progress bars on stderr; stdout is only for results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from facepad.runtime.terminal import one_line

__all__ = ["Advance", "progress_bar"]


class Advance(Protocol):
    """A function that moves a progress bar."""

    def __call__(self, count: int = 1, *, total: int | None = None) -> None:
        """Add ``count`` finished items; ``total`` sets the total number of items if it was unknown before."""
        ...


@contextmanager
def progress_bar(title: str, total: int | None, *, shown: bool = False, unit: str = "items") -> Iterator[Advance]:
    """Draw a progress bar on stderr during the block.

    Args:
        title: The activity, in one or two words.
        total: Number of items; None if unknown.
        shown: Whether to draw the bar. By default, the library draws no bar; the command line does.
        unit: "items" or "bytes". Bytes are shown as megabytes, with the speed.

    Yields:
        A function that the caller calls for finished items, from any thread.

    >>> with progress_bar("counting", 3) as advance:
    ...     advance()
    ...     advance(2)
    """
    if not shown:
        yield lambda count=1, *, total=None: None
        return
    from rich.console import Console  # imported late: the import of rich is slow
    from rich.markup import escape
    from rich.progress import DownloadColumn, MofNCompleteColumn, Progress, TransferSpeedColumn

    counts = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(),)
    # Without `redirect_stdout=False`, results that are printed during the block would go to stderr.
    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), *counts, console=console, redirect_stdout=False) as bar:
        task = bar.add_task(escape(one_line(title)), total=total)
        yield lambda count=1, *, total=None: bar.update(task, advance=count, total=total)
