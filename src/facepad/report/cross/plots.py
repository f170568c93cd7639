"""ROC and DET curves of all systems on one test set in one plot, and the legend of these plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from facepad.metrics import det, probit, roc
from facepad.metrics.arrays import Floats
from facepad.report.cross.content import CrossCell, CrossContent, runs_of
from facepad.report.plots import DASHES, SERIES, Plot, det_axes, mark_point, percent_ticks, scores_by_class
from facepad.report.svg import Ink, axes, styled, to_svg
from facepad.report.text import percent
from facepad.types import ScoreRecord

__all__ = ["Key", "curve_plots", "keys"]

_SVG_DASHES = {"-": "", "--": "5 3", "-.": "6 3 1 3", ":": "1.5 3"}
_MARKERS = {"dev": "D", "model": "s"}


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of the legend: name of the system, CSS colour and SVG dashes of its curve, and its EER as text."""

    name: str
    colour: str
    dashes: str
    eer: str


@dataclass(frozen=True, slots=True)
class _Curve:
    """Scores of both classes for one curve, and the cells whose operating points are marked on it."""

    bona_fide: Floats
    attack: Floats
    cells: Sequence[CrossCell]


def _style(place: int) -> tuple[Ink, str]:
    """Colour and line style of a system: the colours first with solid lines, then with each kind of dashes."""
    lines = ("-", *DASHES)
    return SERIES[place % len(SERIES)], lines[place // len(SERIES) % len(lines)]


def keys(content: CrossContent, test: str, level: str) -> list[Key]:
    """The legend of the plots of a test set at a level."""
    entries = []
    for place, system in enumerate(content.systems):
        rows = content.rows_of(test, level, system.name)
        if not rows:
            continue
        figure, (ink, line) = rows[0].figures["eer"], _style(place)
        value = figure.mean if figure.pooled is None else figure.pooled
        spread = "" if figure.sd is None else f" ± {percent(figure.sd, unit=False)}"
        shown = f"{percent(figure.mean, unit=False)}{spread} %" if figure.sd is not None else percent(value)
        entries.append(Key(system.name, ink.css, _SVG_DASHES[line], shown))
    return entries


def _curves(cells: Sequence[CrossCell]) -> list[_Curve]:
    """One curve for each run. The folds of the test set are pooled into one curve."""
    curves = []
    for part in runs_of(cells):
        records: list[ScoreRecord] = [record for cell in part for record in cell.records]
        curves.append(_Curve(*scores_by_class(records), cells=part))
    return curves


@styled
def curve_plots(content: CrossContent, test: str, level: str) -> list[Plot]:
    """Draw the ROC and the DET curves of all systems on one test set at one level. The legend is `keys`."""
    systems = []
    for place, system in enumerate(content.systems):
        cells = [cell for cell in content.cells_of(test, level) if cell.system == system.name]
        if cells:
            systems.append((*_style(place), _curves(cells)))
    name = f"{content.sets.index(next(s for s in content.sets if s.name == test))}-{level}"
    spread = any(len(curves) > 1 for *_, curves in systems)
    lines = " Several runs of one system have thin lines." if spread else ""
    return [_roc(systems, f"roc-{name}", test, lines), _det(systems, f"det-{name}", test, lines)]


_Systems = Sequence[tuple[Ink, str, list[_Curve]]]


def _roc(systems: _Systems, name: str, test: str, lines: str) -> Plot:
    figure, ax = axes()
    for ink, line, curves in systems:
        for curve in curves:
            drawn = roc(curve.bona_fide, curve.attack)
            ax.plot(drawn.far, drawn.bona_fide_accepted, color=ink, linestyle=line, **_width(curves))
            for origin, (far, bpcer) in _points(curve).items():
                style: dict[str, Any] = {"linestyle": "none", "markersize": 5.5, "clip_on": False, "zorder": 5}
                ax.plot(far, 1 - bpcer, marker=_MARKERS[origin], color=ink, **style)
    ax.plot([0, 1], [0, 1], color=Ink.MUTED, linewidth=0.8, linestyle=":")
    ax.plot([0, 1], [1, 0], color=Ink.MUTED, linewidth=0.8, linestyle="--")
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.015), xlabel="FPR: attacks accepted (FAR), %")
    ax.set_ylabel("TPR: bona fide accepted, %")
    percent_ticks(ax)
    caption = "ROC. A curve has its EER on the dashed diagonal; guessing gives the dotted line." + lines
    return Plot(to_svg(figure, name, f"ROC curves of all systems on {test}."), caption)


def _width(curves: Sequence[_Curve]) -> dict[str, Any]:
    return {"linewidth": 1.8} if len(curves) == 1 else {"linewidth": 1.0, "alpha": 0.7}


def _points(curve: _Curve) -> dict[str, tuple[float, float]]:
    """FAR and BPCER at the threshold, by its origin. The decisions of all folds are counted together."""
    points = {}
    for origin in _MARKERS:
        counts = [cell.summaries[origin].confusion for cell in curve.cells if origin in cell.summaries]
        if counts:
            accepted, attacks = sum(n.attack_accepted for n in counts), sum(n.attack_rejected for n in counts)
            rejected, bona_fide = sum(n.bona_fide_rejected for n in counts), sum(n.bona_fide_accepted for n in counts)
            points[origin] = accepted / (accepted + attacks), rejected / (rejected + bona_fide)
    return points


def _det(systems: _Systems, name: str, test: str, lines: str) -> Plot:
    figure, ax = axes()
    every = [curve for *_, curves in systems for curve in curves]
    floors = (0.5 / max(curve.attack.size for curve in every), 0.5 / max(curve.bona_fide.size for curve in every))
    top = 0.5
    for ink, line, curves in systems:
        for curve in curves:
            drawn = det(curve.bona_fide, curve.attack)
            ax.plot(drawn.far_deviate, drawn.bpcer_deviate, color=ink, linestyle=line, **_width(curves))
            top = max(top, *(2 * cell.any_summary.rates["eer"].value for cell in curve.cells))
            for origin, point in _points(curve).items():
                top = max(top, *point)
                mark_point(ax, point, floors, marker=_MARKERS[origin], color=ink)
    low, high = _det_limits(floors, top)
    ax.plot([low, high], [low, high], color=Ink.MUTED, linewidth=0.8, linestyle="--")
    det_axes(ax, floors, top)
    caption = (
        "DET, in normal deviates. A curve has its EER on the dashed diagonal. A rate of 0 is drawn at half a sample."
        + lines
    )
    return Plot(to_svg(figure, name, f"DET curves of all systems on {test}."), caption)


def _det_limits(floors: tuple[float, float], top: float) -> tuple[float, float]:
    """Ends of the line of equal rates in a DET plot, in normal deviates."""
    low, high = probit([max(floors), min(top, 1 - max(floors))]).tolist()
    return float(low), float(high)
