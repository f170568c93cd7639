"""Progress bars on stderr, so that stdout stays for results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Advance", "progress_bar"]


class Advance(Protocol):
    """Called when items are finished."""

    def __call__(self, count: int = 1, *, total: int | None = None) -> None:
        """Move the bar on by ``count`` items; ``total`` sets their number when it has become known."""
        ...


@contextmanager
def progress_bar(title: str, total: int | None, *, shown: bool = False, unit: str = "items") -> Iterator[Advance]:
    """Draw a bar on stderr while the block runs.

    Args:
        title: What is being done, in a word or two.
        total: Number of items; None if it is not known.
        shown: Whether to draw at all. The library does not, unless it is asked to; the command line does.
        unit: "items", or "bytes", which are shown as megabytes with their speed.

    Yields:
        A function to call as items are finished; it may be called from any thread.

    >>> with progress_bar("counting", 3) as advance:
    ...     advance()
    ...     advance(2)
    """
    if not shown:
        yield lambda count=1, *, total=None: None
        return
    from rich.console import Console  # only here: rich takes a while to import
    from rich.progress import DownloadColumn, MofNCompleteColumn, Progress, TransferSpeedColumn

    counts = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(),)
    # Without `redirect_stdout=False` results that are printed meanwhile would go to stderr with the bar.
    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), *counts, console=console, redirect_stdout=False) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count=1, *, total=None: bar.update(task, advance=count, total=total)
