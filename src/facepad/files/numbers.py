"""Numbers in the lines of CSV files and score files: plain decimals in ASCII."""

from __future__ import annotations

import math
import re

__all__ = ["parse_decimal", "parse_whole"]

# Python also reads "1_0" as 10, digits of other scripts, and "infinity". In a file, each of them is a mistake.
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[0-9]{1,12}")


def parse_decimal(text: str) -> float | None:
    """The number that a text stands for; None unless it is a plain decimal in ASCII in the range of floats.

    >>> [parse_decimal(text) for text in ("0.5", "-3", "1e-3", "1_0", "0x1p3", "nan", "1e999")]
    [0.5, -3.0, 0.001, None, None, None, None]
    """
    if not _DECIMAL.fullmatch(text.strip()):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def parse_whole(text: str) -> int | None:
    """The whole number from 0 that a text stands for; None unless it has 1 to 12 digits of ASCII, and nothing else.

    >>> [parse_whole(text) for text in ("17", "1_0", "-1", "1.0")]
    [17, None, None, None]
    """
    return int(text) if _WHOLE.fullmatch(text) else None
