"""ROC and DET curves of all systems on one test set in one plot, and the legend of these plots."""

from __future__ import annotations

from collections.abc import Sequence

from facepad.report import curves
from facepad.report.cross.content import CrossCell, CrossContent, runs_of
from facepad.report.curves import Curve, Key, SystemCurves, legend_key
from facepad.report.plots import Plot, scores_by_class
from facepad.report.text import percent
from facepad.types import ScoreRecord

__all__ = ["curve_plots", "keys"]

_MARKERS = {"dev": "D", "model": "s"}


def keys(content: CrossContent, test: str, level: str) -> list[Key]:
    """The legend of the plots of a test set at a level."""
    entries = []
    for place, system in enumerate(content.systems):
        rows = content.rows_of(test, level, system.name)
        if not rows:
            continue
        figure = rows[0].figures["eer"]
        value = figure.mean if figure.pooled is None else figure.pooled
        spread = "" if figure.sd is None else f" ± {percent(figure.sd, unit=False)}"
        shown = f"{percent(figure.mean, unit=False)}{spread} %" if figure.sd is not None else percent(value)
        entries.append(legend_key(place, system.name, shown))
    return entries


def curve_plots(content: CrossContent, test: str, level: str) -> list[Plot]:
    """Draw the ROC and the DET curves of all systems on one test set at one level. The legend is `keys`."""
    systems = []
    for place, system in enumerate(content.systems):
        cells = [cell for cell in content.cells_of(test, level) if cell.system == system.name]
        if cells:
            systems.append(SystemCurves(place, _curves(cells)))
    name = f"{content.sets.index(next(s for s in content.sets if s.name == test))}-{level}"
    return curves.curve_plots(systems, name, f" on {test}")


def _curves(cells: Sequence[CrossCell]) -> list[Curve]:
    """One curve for each run. The folds of the test set are pooled into one curve."""
    found = []
    for part in runs_of(cells):
        records: list[ScoreRecord] = [record for cell in part for record in cell.records]
        eers = [cell.any_summary.rates["eer"].value for cell in part]
        found.append(Curve(*scores_by_class(records), eers=eers, points=_points(part)))
    return found


def _points(cells: Sequence[CrossCell]) -> dict[str, tuple[float, float]]:
    """FAR and BPCER at the threshold, by the marker of its origin. The decisions of all folds are counted together."""
    points = {}
    for origin, marker in _MARKERS.items():
        counts = [cell.summaries[origin].confusion for cell in cells if origin in cell.summaries]
        if counts:
            accepted, attacks = sum(n.attack_accepted for n in counts), sum(n.attack_rejected for n in counts)
            rejected, bona_fide = sum(n.bona_fide_rejected for n in counts), sum(n.bona_fide_accepted for n in counts)
            points[marker] = accepted / (accepted + attacks), rejected / (rejected + bona_fide)
    return points
