"""The published results to compare with a measured result, chosen from the figures of the data sets."""

from __future__ import annotations

from functools import cache

from facepad.datasets import DATASETS
from facepad.datasets.published import PublishedFigure
from facepad.errors import InputError, unknown_choice

__all__ = ["published_figures", "published_rows"]


@cache
def published_figures() -> tuple[PublishedFigure, ...]:
    """The published results on all data sets, grouped by paper."""
    rows = [row for adapter in DATASETS.listed().values() for row in adapter.published]
    papers = list(dict.fromkeys(row.paper for row in rows))
    return tuple(sorted(rows, key=lambda row: papers.index(row.paper)))


def published_rows(name: str | None, dataset: str | None = None) -> tuple[PublishedFigure, ...]:
    """Return the rows to compare with a result: the rows of the method, then the other rows of the same paper.

    Args:
        name: Name of the method in the paper. None returns the rows of the data set.
        dataset: Name of the data set, as in `PublishedFigure.dataset`; used only if ``name`` is None.

    Raises:
        InputError: no paper has a method of this name.

    >>> [row.name for row in published_rows("TLA-MobileNetV2")[:3]]
    ['TLA-MobileNetV2', 'TLA-MobileNetV2, after stage 1', 'TLA-MobileNetV2, before training']
    """
    if name is None:
        return tuple(row for row in published_figures() if row.dataset == dataset)
    methods = {row.name.partition(",")[0]: row.paper for row in published_figures()}
    if name not in methods:
        raise InputError(unknown_choice("published method", name, methods))
    table = [row for row in published_figures() if row.paper == methods[name]]
    return tuple(sorted(table, key=lambda row: row.name.partition(",")[0] != name))
