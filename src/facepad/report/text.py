"""Formatting of numbers and names for readers: percentages, intervals, counts and words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from facepad.metrics import Rate, parse_criterion

__all__ = [
    "GAP",
    "count",
    "counted",
    "criterion_words",
    "flatten",
    "fraction",
    "interval",
    "number",
    "percent",
    "probability",
    "words",
]

GAP = "\N{NO-BREAK SPACE}"
"""The no-break space between a number and its unit."""


def percent(value: float, unit: bool = True) -> str:
    """Format a fraction in percent with two decimals.

    Values near 0 or 100 % have three decimals; exactly 0 and 100 % have none.

    >>> [percent(value, unit=False) for value in (0.0287, 0.00097, 1.0, 1.26465)]
    ['2.87', '0.097', '100', '126.47']
    """
    sign = f"{GAP}%" if unit else ""
    if value in (0.0, 1.0):
        return f"{100 * value:.0f}{sign}"
    decimals = 3 if min(value, abs(1 - value)) < 0.001 else 2
    return f"{100 * value:.{decimals}f}{sign}"


def fraction(value: float) -> str:
    """Format a number in [0, 1] as a fraction with four decimals.

    >>> fraction(0.99987)
    '0.9999'
    """
    return f"{value:.0f}" if value in (0.0, 1.0) else f"{value:.4f}"


def interval(rate: Rate, unit: bool = True) -> str:
    """Format the 95 % interval of a rate in percent.

    >>> interval(Rate(0.01, 0.005, 0.02, 100, "exact"), unit=False).replace(GAP, " ")
    '0.50 to 2.00'
    """
    return f"{percent(rate.low, unit=False)} to {percent(rate.high, unit)}"


def number(value: float) -> str:
    """Format a threshold, score or loss with four significant digits, or with ten if four would show 0 or 1.

    >>> number(0.43127), number(0.99999987), number(12.0)
    ('0.4313', '0.99999987', '12')
    """
    short = f"{value:.4g}"
    return f"{value:.10g}" if short in ("1", "0") and value not in (0.0, 1.0) else short


def probability(value: float) -> str:
    """Format a score with four decimals, or as `number` does if the score would be rounded to 0 or 1.

    >>> probability(0.185), probability(0.99999987), probability(12.5)
    ('0.1850', '0.99999987', '12.5')
    """
    return f"{value:.4f}" if 0.00005 <= value < 0.99995 else number(value)


def count(n: int) -> str:
    """Format an integer with thousands separators.

    >>> count(12614)
    '12,614'
    """
    return f"{n:,}"


def counted(n: int, noun: str) -> str:
    """Format an integer with its noun.

    >>> counted(1, "attack"), counted(12614, "attack")
    ('1 attack', '12,614 attacks')
    """
    return f"{count(n)} {noun}{'s' * (n != 1)}"


def words(name: str) -> str:
    """Convert a name with underscores to words.

    >>> words("warped_print")
    'warped print'
    """
    return name.replace("_", " ")


def criterion_words(criterion: str) -> str:
    """Describe a threshold criterion in words.

    >>> criterion_words("bpcer@apcer=0.05").replace(GAP, " ")
    'the lowest BPCER while APCER does not exceed 5.00 %'
    """
    wanted = parse_criterion(criterion)
    if wanted.name in ("bpcer@apcer", "apcer@bpcer"):
        lowest, limited = wanted.name.upper().split("@")
        return f"the lowest {lowest} while {limited} does not exceed {percent(wanted.number or 0.0)}"
    return {"eer": "equal error rate", "min-hter": "the lowest HTER"}.get(wanted.name, "a given number")


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flatten a nested recipe to pairs of dotted key and text, in order. Keys with the value None are left out.

    >>> list(flatten({"name": "x", "train": {"seed": 0}, "stages": [{"lr": 0.1}], "model": {"width": None}}))
    [('name', 'x'), ('train.seed', '0'), ('stages.0.lr', '0.1')]
    """
    for key, value in values.items():
        place = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{place}.")
        elif isinstance(value, list | tuple) and value and all(isinstance(part, Mapping) for part in value):
            for index, part in enumerate(value):
                yield from flatten(part, f"{place}.{index}.")
        elif value is not None:
            yield place, value if isinstance(value, str) else json.dumps(value, default=str)
