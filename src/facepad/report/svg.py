"""Matplotlib figures as inline SVG with the colours and the font of the page, for a light and a dark theme."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["Ink", "axes", "styled", "to_svg"]


_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


class Ink(StrEnum):
    """Colours by role. Matplotlib draws the placeholder value, and the page replaces it by the CSS variable ``css``."""

    TEXT = "#010a01"
    MUTED = "#010a02"
    LINE = "#010a03"
    BONA_FIDE = "#010a04"
    ATTACK = "#010a05"
    TRAIN = "#010a06"
    DEV = "#010a07"
    SERIES_1 = "#010a11"
    SERIES_2 = "#010a12"
    SERIES_3 = "#010a13"
    SERIES_4 = "#010a14"
    SERIES_5 = "#010a15"
    SERIES_6 = "#010a16"
    SERIES_7 = "#010a17"

    @property
    def css(self) -> str:
        """The CSS variable of this colour, ``var(--ink-...)``."""
        return f"var(--ink-{self.name.lower().replace('_', '-')})"


_STYLE: dict[Any, Any] = {  # Any, because Matplotlib 3.11 types each key separately
    "svg.fonttype": "none",  # text elements are small, sharp and searchable, and use the font of the page
    "font.size": 9.5,
    "text.color": Ink.TEXT.value,
    "axes.labelcolor": Ink.TEXT.value,
    "axes.edgecolor": Ink.MUTED.value,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": Ink.LINE.value,
    "grid.linewidth": 0.7,
    "xtick.color": Ink.MUTED.value,
    "xtick.labelcolor": Ink.TEXT.value,
    "ytick.color": Ink.MUTED.value,
    "ytick.labelcolor": Ink.TEXT.value,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "none",
}


def styled(function: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
    """Decorate a drawing function to use the style of the report.

    Matplotlib sets colours when an element of a figure is made, so the style must be active in the whole function.
    """

    @functools.wraps(function)
    def inside(*args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
        with mpl.rc_context(_STYLE):
            return function(*args, **kwargs)

    return inside


def axes(height: float = 3.5, headroom: float = 0.1) -> tuple[Figure, Axes]:
    """Make a figure with one pair of axes, without pyplot and its global state.

    Args:
        height: Height of the figure in inches.
        headroom: Space above the axes for a legend, in inches.
    """
    width = 5.0  # the page scales the figure to its column; text of this size is readable on phones and desktops
    figure = Figure(figsize=(width, height))
    ax = figure.add_subplot()
    # Fixed margins align the axes of neighbouring figures, and are faster than a layout engine.
    figure.subplots_adjust(left=0.65 / width, right=1 - 0.1 / width, bottom=0.5 / height, top=1 - headroom / height)
    return figure, ax


def to_svg(figure: Figure, name: str, alt: str) -> Markup:
    """Convert a figure to an ``<svg>`` element for an HTML page.

    Args:
        figure: Figure from `axes`. Its texts are not escaped, so they must not contain text from users.
        name: Unique name on the page, used as a prefix of ids.
        alt: Description of the figure, for screen readers.
    """
    buffer = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return Markup(_for_page(buffer.getvalue(), name, alt))  # the texts are not from users, and alt is escaped


def _for_page(text: str, name: str, alt: str) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"| version="1.1"', "", text)
    text = text.replace("xlink:href=", "href=")
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(href="|url\()#', rf"\g<1>#{name}-", text)
    for ink in Ink:
        text = text.replace(ink.value, ink.css)
    text = re.sub(r"(font: [^;\"]*?[0-9.]+px) [^;\"]*", r"\1 var(--font)", text)
    text = re.sub(r"\n\s*", "\n", text)
    label = Markup('role="img" aria-label="{}"').format(alt)
    return text.replace("<svg", f"<svg {label}", 1).strip()
