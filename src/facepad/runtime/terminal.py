"""Text for the terminal. All output of the command line and the log goes through this module."""

from __future__ import annotations

import unicodedata

__all__ = ["one_line", "safe_text"]

_JOINERS = "\u200c\u200d"  # invisible parts of Persian, of Indic scripts, and of emoji


def one_line(text: str) -> str:
    r"""The text with control characters, line ends and invisible characters as escapes. Spaces of all widths stay.

    A file name, a model or the answer of a server could otherwise move the cursor, hide text, or add a line that looks
    like a message of facepad.

    >>> one_line("a\x1b[31m\n é")
    'a\\x1b[31m\\n é'
    """
    if text.isprintable():
        return text
    return "".join(char if _is_harmless(char) else _escaped(char) for char in text)


def safe_text(text: str) -> str:
    r"""The text with its line ends, and with all other control and invisible characters as escapes.

    >>> safe_text("a\x1b[31m\nb")
    'a\\x1b[31m\nb'
    """
    return "\n".join(map(one_line, text.split("\n")))


def _is_harmless(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs" or char in _JOINERS


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
