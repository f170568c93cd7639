"""The table of a whole system, detection and comparison, as rows of formatted text."""

from __future__ import annotations

from collections.abc import Iterator

from facepad.metrics import SYSTEM_MEASURES, Rate, WholeSystem
from facepad.report.text import count, percent, words

__all__ = ["system_rows"]


def system_rows(system: WholeSystem) -> list[tuple[str, str, str, str]]:
    """Return (rate, value, 95 % interval, n), in percent. Rates that are not defined are left out."""
    return [
        (name, percent(rate.value, unit=False), f"{percent(rate.low, unit=False)} to {percent(rate.high, unit=False)}",
         count(rate.n))
        for name, rate in _named(system)
    ]  # fmt: skip


def _named(system: WholeSystem) -> Iterator[tuple[str, Rate]]:
    for key, title in SYSTEM_MEASURES.items():
        if (rate := system.rates[key]) is not None:
            yield title, rate
        if key == "iapar":
            yield from ((f"IAPAR, {words(name)}", each) for name, each in system.species.items())
    yield from ((f"APAR, {words(name)}", each) for name, each in system.acquired.items())
