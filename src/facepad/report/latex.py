"""Tables in LaTeX. They need the package booktabs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from facepad.report.text import GAP

__all__ = ["tabular", "tex"]

_SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "<": "$<$",
    ">": "$>$",
    "±": r"$\pm$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}


def tex(text: str) -> str:
    """Escape a text for LaTeX.

    >>> print(tex("a_b 5 % ± 1"))
    a\\_b 5 \\% $\\pm$ 1
    """
    return "".join(_SPECIAL.get(character, character) for character in text.replace(GAP, " "))


def tabular(columns: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1) -> Iterator[str]:
    """Yield the lines of a table of texts; all columns after the text columns are right-aligned."""
    yield rf"\begin{{tabular}}{{{'l' * text_columns}{'r' * (len(columns) - text_columns)}}}"
    yield r"\toprule"
    yield rf"{' & '.join(map(tex, columns))} \\"
    yield r"\midrule"
    for row in rows:
        yield rf"{' & '.join(map(tex, row))} \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"
