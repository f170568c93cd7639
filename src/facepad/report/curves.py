"""ROC and DET curves of several systems in one plot, and the entries of their legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facepad.metrics import det, probit, roc
from facepad.metrics.arrays import Floats
from facepad.report.plots import DASHES, SERIES, Plot, det_axes, mark_point, percent_ticks
from facepad.report.svg import Ink, axes, styled, to_svg

__all__ = ["Curve", "Key", "SystemCurves", "curve_plots", "legend_key"]

_SVG_DASHES = {"-": "", "--": "5 3", "-.": "6 3 1 3", ":": "1.5 3"}


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of the legend: name of the system, CSS colour and SVG dashes of its curve, and its EER as text."""

    name: str
    colour: str
    dashes: str
    eer: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Scores of both classes for one curve.

    Attributes:
        bona_fide: Scores of bona fide samples, shape (N,).
        attack: Scores of attacks, shape (M,).
        eers: The EERs that the plot must show.
        points: Marker of Matplotlib -> FAR and BPCER of the operating point that it marks.
    """

    bona_fide: Floats
    attack: Floats
    eers: Sequence[float]
    points: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class SystemCurves:
    """The curves of one system: one, or one for each run. ``place`` is its place in the legend, from 0."""

    place: int
    curves: Sequence[Curve]

    @property
    def style(self) -> dict[str, Any]:
        """The style of the lines. Several runs of one system have thin lines."""
        ink, line = _line_style(self.place)
        width = {"linewidth": 1.8} if len(self.curves) == 1 else {"linewidth": 1.0, "alpha": 0.7}
        return {"color": ink, "linestyle": line, **width}


def _line_style(place: int) -> tuple[Ink, str]:
    """Colour and line style of a system: the colours first with solid lines, then with each kind of dashes."""
    lines = ("-", *DASHES)
    return SERIES[place % len(SERIES)], lines[place // len(SERIES) % len(lines)]


def legend_key(place: int, name: str, eer: str) -> Key:
    """Make the entry of a system in the legend."""
    ink, line = _line_style(place)
    return Key(name, ink.css, _SVG_DASHES[line], eer)


@styled
def curve_plots(systems: Sequence[SystemCurves], name: str, what: str) -> list[Plot]:
    """Draw the ROC and the DET curves of all systems.

    Args:
        systems: The curves by system.
        name: Unique end of the names of both plots on the page.
        what: The end of the sentence "ROC curves of all systems" in the description for screen readers.
    """
    spread = any(len(each.curves) > 1 for each in systems)
    lines = " Several runs of one system have thin lines." if spread else ""
    return [_roc(systems, f"roc-{name}", what, lines), _det(systems, f"det-{name}", what, lines)]


def _roc(systems: Sequence[SystemCurves], name: str, what: str, lines: str) -> Plot:
    figure, ax = axes()
    for system in systems:
        for curve in system.curves:
            drawn = roc(curve.bona_fide, curve.attack)
            ax.plot(drawn.far, drawn.bona_fide_accepted, **system.style)
            for marker, (far, bpcer) in curve.points.items():
                style: dict[str, Any] = {"linestyle": "none", "markersize": 5.5, "clip_on": False, "zorder": 5}
                ax.plot(far, 1 - bpcer, marker=marker, color=system.style["color"], **style)
    ax.plot([0, 1], [0, 1], color=Ink.MUTED, linewidth=0.8, linestyle=":")
    ax.plot([0, 1], [1, 0], color=Ink.MUTED, linewidth=0.8, linestyle="--")
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.015), xlabel="FPR: attacks accepted (FAR), %")
    ax.set_ylabel("TPR: bona fide accepted, %")
    percent_ticks(ax)
    caption = "ROC. A curve has its EER on the dashed diagonal; guessing gives the dotted line." + lines
    return Plot(to_svg(figure, name, f"ROC curves of all systems{what}."), caption)


def _det(systems: Sequence[SystemCurves], name: str, what: str, lines: str) -> Plot:
    figure, ax = axes()
    every = [curve for system in systems for curve in system.curves]
    floors = (0.5 / max(curve.attack.size for curve in every), 0.5 / max(curve.bona_fide.size for curve in every))
    top = 0.5
    for system in systems:
        for curve in system.curves:
            drawn = det(curve.bona_fide, curve.attack)
            ax.plot(drawn.far_deviate, drawn.bpcer_deviate, **system.style)
            top = max(top, *(2 * eer for eer in curve.eers))
            for marker, point in curve.points.items():
                top = max(top, *point)
                mark_point(ax, point, floors, marker=marker, color=system.style["color"])
    low, high = probit([max(floors), min(top, 1 - max(floors))]).tolist()
    ax.plot([low, high], [low, high], color=Ink.MUTED, linewidth=0.8, linestyle="--")
    det_axes(ax, floors, top)
    caption = (
        "DET, in normal deviates. A curve has its EER on the dashed diagonal. A rate of 0 is drawn at half a sample."
        + lines
    )
    return Plot(to_svg(figure, name, f"DET curves of all systems{what}."), caption)
