"""The table and the curve of a whole system: detection and comparison."""

from __future__ import annotations

from collections.abc import Iterator

from facepad.metrics import SYSTEM_MEASURES, ExpectedCurve, Rate, WholeSystem
from facepad.report.plots import DASHES, SERIES, Plot
from facepad.report.svg import axes, styled, to_svg
from facepad.report.text import count, percent, words

__all__ = ["spoofability_plot", "system_rows"]


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


@styled
def spoofability_plot(curve: ExpectedCurve, name: str) -> Plot:
    """Draw the expected performance and spoofability curve.

    Args:
        curve: The curve.
        name: Name of the plot, unique in the page.
    """
    figure, ax = axes(height=3.3, headroom=0.6)
    lines = (
        ("IAPAR, all species pooled", curve.iapar),
        ("FRR", curve.frr),
        ("FAR, zero effort", curve.far),
        ("weighted error", curve.wer),
    )
    for place, (label, rates) in enumerate(lines):
        dash = ("-", *DASHES)[place]
        ax.plot(100 * curve.weights, 100 * rates, color=SERIES[place], linestyle=dash, linewidth=1.8, label=label)
    ax.set(xlim=(-2, 102), xlabel="attacks among the impostors (omega), %", ylabel="rate on test, %")
    ax.set_ylim(bottom=0)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    caption = (
        "Expected performance and spoofability. For each share of attacks among the impostors, the threshold of the "
        "comparison has the lowest weighted error on the dev scores. The detection keeps its threshold."
    )
    ends = f"IAPAR is {percent(curve.iapar[0])} without attacks and {percent(curve.iapar[-1])} with attacks alone"
    return Plot(to_svg(figure, name, f"Rates on test against the share of attacks: {ends}."), caption)
