"""The plots of a report: ROC, DET, score histograms and learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from facepad.metrics import Rate, RocCurve, det, histogram, probit, roc
from facepad.metrics.arrays import Floats
from facepad.report.adapt_content import LearningCurve
from facepad.report.content import ReportContent
from facepad.report.svg import Ink, axes, styled, to_svg
from facepad.report.text import count, number, percent, words
from facepad.types import Label, ScoreRecord, Split

__all__ = [
    "DASHES",
    "SERIES",
    "Plot",
    "curve_plot",
    "det_axes",
    "det_plot",
    "histogram_plot",
    "histogram_plots",
    "learning_plots",
    "mark_point",
    "percent_ticks",
    "roc_plot",
    "scores_by_class",
]

_TICKS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.99)
SERIES = tuple(Ink[f"SERIES_{place}"] for place in range(1, 8))
"""The colours of several curves in one plot."""

DASHES = ("--", "-.", ":")
"""The line styles of further curves in one plot."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot and its caption."""

    svg: Markup
    caption: str


def scores_by_class(records: Sequence[ScoreRecord]) -> tuple[Floats, Floats]:
    """Return the scores of bona fide samples and of attacks, shapes (N,) and (M,)."""
    scored = [(record.label, record.score) for record in records if record.score is not None]
    bona_fide, attack = (np.array([s for of, s in scored if of is label], dtype=np.float64) for label in Label)
    return bona_fide, attack


def percent_ticks(ax: Axes) -> None:
    """Label both axes in percent; the data are fractions."""
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))


@styled
def roc_plot(content: ReportContent) -> Plot:
    """Draw the ROC of the measured scores with FPR on the x axis, TPR on the y axis and an inset of the upper left."""
    curve = roc(*scores_by_class(content.measured))
    rates = content.summary.rates
    eer, at = rates["eer"].value, (rates["far_pooled"].value, 1 - rates["bpcer"].value)
    figure, ax = axes()
    _draw_roc(ax, curve, eer, at)
    ax.plot([0, 1], [0, 1], color=Ink.MUTED, linewidth=0.8, linestyle=":")
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.015), xlabel="FPR: attacks accepted (FAR), %")
    ax.set_ylabel("TPR: bona fide accepted, %")
    ax.legend(loc="lower right", ncols=2, columnspacing=1.0, handletextpad=0.2, borderaxespad=0.2)
    percent_ticks(ax)
    caption = "The attacks of all instruments are pooled. The dotted line is a random guess."
    if np.any((curve.far < 0.1) & (curve.bona_fide_accepted > 0.9)):
        caption += " The inset enlarges the upper left corner."
        window = ax.inset_axes((0.42, 0.23, 0.53, 0.5))
        _draw_roc(window, curve, eer, at, inside=True)
        window.set(xlim=(-0.002, 0.1), ylim=(0.9, 1.002))
        window.tick_params(labelsize=8)
        percent_ticks(window)
    alt = (
        f"ROC curve: area {rates['auc'].value:.4f}, equal error rate {percent(eer)}. At the threshold {percent(at[0])} "
        f"of the attacks and {percent(at[1])} of the bona fide presentations are accepted."
    )
    return Plot(to_svg(figure, "roc", alt), caption)


def _draw_roc(ax: Axes, curve: RocCurve, eer: float, at: tuple[float, float], inside: bool = False) -> None:
    ax.plot(curve.far, curve.bona_fide_accepted, color=Ink.BONA_FIDE, linewidth=1.8)
    style: dict[str, Any] = {"linestyle": "none", "markersize": 5.5, "clip_on": inside, "zorder": 5}
    ax.plot(eer, 1 - eer, marker="o", color=Ink.BONA_FIDE, label=f"EER {percent(eer)}", **style)
    ax.plot(*at, marker="D", color=Ink.ATTACK, label="threshold in use", **style)


@styled
def det_plot(content: ReportContent) -> Plot:
    """Draw the DET curve on normal-deviate axes; several instruments also get one line each."""
    bona_fide, attack = scores_by_class(content.measured)
    pooled = det(bona_fide, attack)
    figure, ax = axes()
    if len(content.summary.instruments) > 1:
        for place, (name, scores) in enumerate(_by_instrument(content).items()):
            curve = det(bona_fide, scores)
            ink, dash = SERIES[place % len(SERIES)], DASHES[place % len(DASHES)]
            ax.plot(curve.far_deviate, curve.bpcer_deviate, color=ink, linestyle=dash, linewidth=1.3, label=words(name))
    ax.plot(pooled.far_deviate, pooled.bpcer_deviate, color=Ink.TEXT, linewidth=1.8, label="all attacks")
    rates = content.summary.rates
    eer, far, bpcer = (rates[name].value for name in ("eer", "far_pooled", "bpcer"))
    floors = 0.5 / attack.size, 0.5 / bona_fide.size
    mark_point(ax, (eer, eer), floors, marker="o", color=Ink.BONA_FIDE, label=f"EER {percent(eer)}")
    mark_point(ax, (far, bpcer), floors, marker="D", color=Ink.ATTACK, label="threshold in use")
    det_axes(ax, floors, max(0.5, 2 * eer, far, bpcer))
    ax.legend(loc="best")
    alt = f"DET curve: the equal error rate is {percent(eer)}."
    caption = (
        "The axes are normal deviates. A straight line means normally distributed scores. A rate of 0 is drawn at half "
        "a sample. A curve nearer to the lower left corner is better."
    )
    return Plot(to_svg(figure, "det", alt), caption)


def _by_instrument(content: ReportContent) -> dict[str, Floats]:
    found: dict[str, list[float]] = {}
    for record in content.measured:
        if record.species is not None and record.score is not None:
            found.setdefault(record.species, []).append(record.score)
    return {name: np.array(found[name]) for name in sorted(found)}


def mark_point(ax: Axes, rates: tuple[float, float], floors: tuple[float, float], **style: Any) -> None:
    """Mark a point of a DET plot. A rate of 0 is drawn at its floor.

    Args:
        ax: Axes of the plot.
        rates: FAR and BPCER, fractions.
        floors: The smallest drawn FAR and BPCER.
        **style: Style of the marker.
    """
    x, y = probit([min(max(rate, floor), 1 - floor) for rate, floor in zip(rates, floors, strict=True)]).tolist()
    ax.plot(x, y, linestyle="none", markersize=5.5, clip_on=False, zorder=5, **style)


def det_axes(ax: Axes, floors: tuple[float, float], top: float) -> None:
    """Set limits, ticks and labels of a DET plot.

    Args:
        ax: Axes of the plot, in normal deviates.
        floors: The smallest drawn FAR and BPCER.
        top: The largest drawn rate.
    """
    for axis, set_limits, floor in ((ax.xaxis, ax.set_xlim, floors[0]), (ax.yaxis, ax.set_ylim, floors[1])):
        low, high = min(0.8 * floor, 0.02), min(top, 1 - 0.8 * floor)
        shown = [tick for tick in _TICKS if low <= tick <= high]
        wide = shown[:: 1 if len(shown) < 10 else 2]
        axis.set_major_locator(NullLocator())
        axis.set_ticks(probit(wide).tolist(), labels=[f"{100 * tick:g}" for tick in wide])
        set_limits(*probit([low, high]).tolist())
    ax.set_xlabel("attacks accepted, %")
    ax.set_ylabel("bona fide rejected (BPCER), %")


@styled
def histogram_plots(content: ReportContent) -> list[Plot]:
    """Draw histograms of the dev scores and of the measured scores; a split with one class is left out."""
    plots = []
    counts = content.summary.confusion
    decided = (
        f"Scores on {content.split_name}: {count(counts.bona_fide_rejected)} bona fide samples are below the "
        f"threshold, {count(counts.attack_accepted)} attacks are at or above the threshold."
    )
    chosen = ", where the threshold was chosen" if content.threshold.origin.split is Split.DEV else ""
    for name, records, caption in (
        ("dev", content.dev, f"Scores on dev{chosen}."),
        (content.split_name, content.measured, decided),
    ):
        bona_fide, attack = scores_by_class(records)
        if bona_fide.size and attack.size:
            plots.append(Plot(_histogram(name, bona_fide, attack, content.threshold.value), caption))
    return plots


@styled
def histogram_plot(name: str, content: ReportContent, caption: str, *, number: int | None = None) -> Plot:
    """Draw the histogram of the measured scores; the name says whose scores they are.

    Several histograms with one name on a page need different numbers.
    """
    scores = scores_by_class(content.measured)
    return Plot(_histogram(name, *scores, content.threshold.value, number_on_page=number), caption)


def _histogram(
    name: str, bona_fide: Floats, attack: Floats, threshold: float, *, number_on_page: int | None = None
) -> Markup:
    counted = histogram(bona_fide, attack, bins=50)
    figure, ax = axes(height=3.0, headroom=0.3)
    floor = 0.5  # less than one sample, so a bin with one sample is visible on the logarithmic axis
    for counts, ink, label in (
        (counted.attack, Ink.ATTACK, f"attacks ({attack.size:,})"),
        (counted.bona_fide, Ink.BONA_FIDE, f"bona fide ({bona_fide.size:,})"),
    ):
        heights = np.maximum(counts, floor)
        ax.stairs(heights, counted.edges, baseline=floor, fill=True, color=ink, alpha=0.3)
        ax.stairs(heights, counted.edges, baseline=floor, color=ink, linewidth=1.3, label=label)
    ax.axvline(threshold, color=Ink.TEXT, linewidth=1.2, linestyle="--", label=f"threshold {number(threshold)}")
    ax.set_yscale("log")
    ax.set_ylim(floor, 4 * max(counted.attack.max(), counted.bona_fide.max()))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value < 1000 else f"{value / 1000:g}k"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(f"score on {name}, P(bona fide); accepted if at least the threshold")
    ax.set_ylabel("samples per bin, log scale")
    _legend_above(ax)
    alt = (
        f"Histogram of the {name} scores: {attack.size} attacks with median {number(float(np.median(attack)))}, "
        f"{bona_fide.size} bona fide with median {number(float(np.median(bona_fide)))}, threshold {number(threshold)}."
    )
    end = "" if number_on_page is None else f"-{number_on_page}"
    return to_svg(figure, f"histogram-{name.replace(' ', '-')}{end}", alt)


def _legend_above(ax: Axes) -> None:
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=3, columnspacing=1.0, handlelength=1.4, borderpad=0)


@styled
def curve_plot(curve: LearningCurve) -> Plot:
    """Draw the error against the number of people with its intervals, and its extrapolation as a dashed line."""
    figure, ax = axes(height=3.0, headroom=0.3)
    last = curve.points[-1]
    measured = [(at.people, at.acer) for at in curve.points]
    ahead = [(last.people + at.more, at.acer) for at in curve.outlook]
    _draw_rates(ax, measured, Ink.BONA_FIDE, "-", "measured")
    if ahead:
        ax.plot(
            [last.people, ahead[0][0]],
            [100 * last.acer.value, 100 * ahead[0][1].value],
            color=Ink.MUTED,
            linestyle="--",
        )
        _draw_rates(ax, ahead, Ink.MUTED, "--", "extrapolated")
    ax.set_ylim(bottom=0)
    ax.margins(x=0.08)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("people in the training")
    ax.set_ylabel("ACER of other people, %")
    _legend_above(ax)
    points = ", ".join(f"{people} people {percent(acer.value)}" for people, acer in measured)
    caption = "Vertical lines are 95 % intervals. The last measured point is the cross-validation of the chosen model."
    return Plot(to_svg(figure, "people", f"ACER against the number of people: {points}."), caption)


def _draw_rates(ax: Axes, rates: Sequence[tuple[int, Rate]], ink: Ink, line: str, label: str) -> None:
    people, values = [at for at, _ in rates], [100 * rate.value for _, rate in rates]
    ends = [[100 * (rate.value - rate.low) for _, rate in rates], [100 * (rate.high - rate.value) for _, rate in rates]]
    style: dict[str, Any] = {"color": ink, "linestyle": line, "marker": "o", "markersize": 5, "linewidth": 1.8}
    ax.errorbar(people, values, ends, ecolor=ink, elinewidth=1.1, capsize=3, label=label, clip_on=False, **style)


@styled
def learning_plots(epochs: Sequence[Mapping[str, Any]]) -> list[Plot]:
    """Draw the loss and the accuracy of train and dev over the epochs of all stages. Empty series are left out.

    Args:
        epochs: Rows as in `ReportContent.epochs`. A first row with epoch 0 is the state before training.
    """
    first = 0 if epochs and epochs[0].get("epoch") == 0 else 1
    names = list(dict.fromkeys(str(row.get("stage", "")) for row in epochs[1 - first :]))
    plots = []
    for what, label in (("loss", "loss"), ("accuracy", "accuracy, %")):
        series = {part: _series(epochs, f"{part}_{what}", first) for part in ("train", "dev")}
        if any(series.values()):
            plots.append(_learning_plot(what, label, series, _stage_starts(epochs, first), names))
    return plots


def _series(epochs: Sequence[Mapping[str, Any]], key: str, first: int) -> list[tuple[int, float]]:
    values = ((place, row.get(key)) for place, row in enumerate(epochs, start=first))
    return [(place, float(value)) for place, value in values if value is not None and math.isfinite(value)]


def _stage_starts(epochs: Sequence[Mapping[str, Any]], first: int) -> list[float]:
    """Return the x position between two epochs at which each stage begins; epoch 0 does not belong to a stage."""
    stages = [row.get("stage") for row in epochs]
    begins = range(1 - first, len(stages))
    return [first + at - 0.5 for at in begins if at == 1 - first or stages[at] != stages[at - 1]]


def _learning_plot(
    what: str, label: str, series: Mapping[str, Sequence[tuple[int, float]]], starts: Sequence[float], names: list[str]
) -> Plot:
    figure, ax = axes(height=3.0, headroom=0.3)
    scale = 100.0 if what == "accuracy" else 1.0
    ends = []
    for part, ink, marker in (("train", Ink.TRAIN, "o"), ("dev", Ink.DEV, "s")):
        if points := series[part]:
            x, y = [at for at, _ in points], [scale * value for _, value in points]
            ax.plot(x, y, color=ink, marker=marker, markersize=3, linewidth=1.5, label=part)
            ends.append(f"{part} {y[0]:.4g} to {y[-1]:.4g}")
    values = [value for points in series.values() for _, value in points]
    if what == "loss" and min(values) > 0 and max(values) > 20 * min(values):
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_locator(NullLocator())
    ax.margins(y=0.12)  # space above the curves for the numbers of the stages
    for place, start in enumerate(starts):
        ax.axvline(start, color=Ink.MUTED, linewidth=0.9, linestyle=":")
        ax.text(start, 0.99, f" {place + 1}", color=Ink.MUTED, va="top", transform=ax.get_xaxis_transform())
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("epoch")
    ax.set_ylabel(label)
    _legend_above(ax)
    stages = ", ".join(f"{place + 1} = {name}" for place, name in enumerate(names))
    caption = f"{what.capitalize()} from the first to the last epoch: {', '.join(ends)}. Stages: {stages}."
    return Plot(to_svg(figure, f"learning-{what}", f"Learning curves of the {what}: {', '.join(ends)}."), caption)
