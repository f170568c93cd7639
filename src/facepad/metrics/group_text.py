"""Text of groups for a terminal and for reports: a table of rates in percent, and sentences on the gaps."""

from __future__ import annotations

from collections.abc import Iterator

from facepad.metrics.gaps import Gap
from facepad.metrics.groups import GroupComparison
from facepad.metrics.intervals import Rate

__all__ = ["GAP_MEANING", "gap_sentences", "group_lines"]

GAP_MEANING = (
    "p is the share of random exchanges of the groups that give a gap at least as large. A large p does not show that "
    "the groups are treated alike: too few people may be the reason. A small p does not name the cause of the gap."
)
"""The meaning of the p-value of a gap, as sentences."""

_NAMES = {"bpcer": "BPCER", "apcer": "APCER"}


def group_lines(groups: GroupComparison) -> Iterator[str]:
    """Yield the lines of a table of groups, and of the sentences on the gaps."""
    heads = "".join(f"{name:>28}" for name in ("BPCER, %", "APCER of the worst, %"))
    title = f"by {', '.join(groups.columns)}"
    first = max(24, *(len(text) + 2 for text in (title, *map(str, groups.groups))))
    yield f"{title:<{first}}{groups.unit:>9}{heads}{'APNRR, %':>10}{'BPNRR, %':>10}  worst species"
    for group in groups.groups:
        rates = "".join(f"{_with_interval(rate):>28}" for rate in (group.bpcer, group.apcer))
        missing = "".join(f"{_percent(rate):>10}" for rate in (group.apnrr, group.bpnrr))
        yield f"{group!s:<{first}}{group.units:>9}{rates}{missing}  {group.worst_species or '-'}"
    sentences = list(gap_sentences(groups))
    yield from sentences
    if sentences:
        yield GAP_MEANING


def gap_sentences(groups: GroupComparison) -> Iterator[str]:
    """Yield a sentence on each gap that was tested."""
    for key, gap in groups.gaps.items():
        if gap is not None:
            yield _gap_sentence(_NAMES[key], gap, groups.unit)


def _gap_sentence(name: str, gap: Gap, unit: str) -> str:
    of = f" of {gap.species}" if gap.species else ""
    if gap.difference == 0:
        return f"Largest gap of {name}: none; all groups that are compared have the same rate."
    p = f"p = {gap.p:.4f}, {gap.permutations} permutations between {unit}"
    return (
        f"Largest gap of {name}{of}: {100 * gap.difference:.2f} percentage points, from {100 * gap.low:.2f} % "
        f"({gap.lowest}) to {100 * gap.high:.2f} % ({gap.highest}); {p}."
    )


def _percent(rate: Rate | None) -> str:
    return "-" if rate is None else f"{100 * rate.value:.2f}"


def _with_interval(rate: Rate | None) -> str:
    if rate is None:
        return "-"
    return f"{100 * rate.value:.2f} ({100 * rate.low:.2f} to {100 * rate.high:.2f})"
