"""Figures of a cross-data-set evaluation: thresholds by origin, and rates summed up over seeds and folds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from facepad.datasets.manifest import manifest_words
from facepad.errors import MetricError
from facepad.metrics import (
    CHOSEN_ON_ITSELF,
    MEASURES,
    Aggregation,
    Basis,
    Note,
    NoteKind,
    PadSummary,
    Requirement,
    Resampling,
    Threshold,
    check_requirements,
    choose_threshold,
    has_note,
    level_words,
    summarize,
    to_videos,
    with_groups,
)
from facepad.report.cross import CrossCell, CrossFinding, CrossRow, Figure, runs_of
from facepad.types import ScoreRecord
from facepad.workflow.cross.cells import ScoredCell
from facepad.workflow.cross.plan import CrossSettings

__all__ = ["find", "measure_cell", "sum_up"]

_Level = Literal["frame", "video"]


def measure_cell(scored: ScoredCell, settings: CrossSettings, place: str) -> Iterator[CrossCell]:
    """Measure a cell at frame level and, if the test samples name videos, at video level. Groups are at the last level.

    Args:
        scored: The scores of the cell.
        settings: The settings of the evaluation.
        place: Folder of the scores, relative to the report.

    Raises:
        MetricError: one class has no scores.
    """
    cell = scored.cell
    levels: tuple[_Level, ...] = ("frame", "video") if _names_videos(scored.records) else ("frame",)
    for level in levels:
        aggregation = settings.aggregation if level == "video" else None
        records = to_videos(scored.records, aggregation) if aggregation else scored.records
        try:
            by = settings.by if level == levels[-1] else ()
            summaries = dict(_summaries(scored, records, aggregation, replace(settings, by=by)))
        except MetricError as error:
            raise MetricError(f"{cell.member.system} on {cell.manifest}: {error}") from None
        yield CrossCell(
            system=cell.member.system,
            test=cell.test,
            level=level,
            seed=cell.member.seed,
            train_fold=cell.member.fold,
            test_fold=cell.fold,
            summaries=summaries,
            records=records,
            place=place,
        )


def _summaries(
    scored: ScoredCell, records: Sequence[ScoreRecord], aggregation: Aggregation | None, settings: CrossSettings
) -> Iterator[tuple[str, PadSummary]]:
    """Origin of the threshold and metrics; with groups, unless the threshold was chosen on the test scores."""
    for origin, chosen in _thresholds(scored, records, aggregation, settings.resampling):
        summary = summarize(records, chosen, resampling=settings.resampling, aggregation=aggregation)
        yield origin, summary if origin == "test" else with_groups(summary, records, settings.by)


def _names_videos(records: Sequence[ScoreRecord]) -> bool:
    return any(record.video for record in records)


def _thresholds(
    scored: ScoredCell, records: Sequence[ScoreRecord], aggregation: Aggregation | None, resampling: Resampling
) -> Iterator[tuple[str, Threshold]]:
    """Origin and threshold, for each available origin."""
    cell = scored.cell
    if cell.dev is not None:
        of_videos = aggregation is not None and _names_videos(scored.dev)
        dev = to_videos(scored.dev, aggregation) if aggregation and of_videos else scored.dev
        notes = [Note(NoteKind.LEVEL, f"chosen on {level_words(aggregation)}")] if of_videos else []
        source = manifest_words(cell.dev)
        yield "dev", choose_threshold(dev, cell.member.criterion, source=source, resampling=resampling, notes=notes)
    if (own := scored.bundle.description.threshold) is not None:
        yield "model", own
    source, itself = manifest_words(cell.manifest), [CHOSEN_ON_ITSELF]
    yield "test", choose_threshold(records, "eer", source=source, resampling=resampling, notes=itself)


def find(cells: Sequence[CrossCell], requirements: Sequence[Requirement]) -> list[CrossFinding]:
    """Hold the decisions of each cell against requirements, at each threshold that was not chosen on the test scores.

    A cell that is measured at both levels is held at video level, because requirements count presentations.
    """
    if not requirements:
        return []
    highest = {(cell.system, cell.test, cell.seed, cell.train_fold, cell.test_fold): cell for cell in cells}
    return [
        CrossFinding(cell, origin, finding)
        for cell in highest.values()
        for origin, summary in cell.summaries.items()
        if origin != "test"
        for finding in check_requirements(cell.records, summary.threshold.value, requirements)
    ]


def sum_up(cells: Sequence[CrossCell], resampling: Resampling) -> list[CrossRow]:
    """Sum up the cells of each system, test set and level: one row for each origin of the threshold."""
    groups: dict[tuple[str, str, _Level], list[CrossCell]] = {}
    for cell in cells:
        groups.setdefault((cell.system, cell.test, cell.level), []).append(cell)
    return [row for group in groups.values() for row in _rows(group, resampling)]


def _rows(group: Sequence[CrossCell], resampling: Resampling) -> Iterator[CrossRow]:
    first = group[0]
    pools = runs_of(group) if len({cell.test_fold for cell in group}) > 1 else []
    for origin, summary in first.summaries.items():
        summaries = [cell.summaries[origin] for cell in group]
        thresholds = {each.threshold.value for each in summaries}
        pooled = [_pooled(pool, origin, resampling) for pool in pools]
        whole = (pooled or summaries)[0]
        counts = whole.confusion
        yield CrossRow(
            system=first.system,
            test=first.test,
            level=first.level,
            origin=origin,
            chosen_on=_chosen_on(origin, first.level, [each.threshold for each in summaries]),
            criterion=summary.threshold.criterion,
            threshold=thresholds.pop() if len(thresholds) == 1 else None,
            over=_over(group),
            bona_fide=counts.bona_fide_accepted + counts.bona_fide_rejected,
            attack=counts.attack_accepted + counts.attack_rejected,
            unscored=sum(n for of_label in whole.non_responses.values() for n in of_label.values()),
            figures={measure.key: _figure(measure.key, summaries, pooled) for measure in MEASURES},
        )


def _chosen_on(origin: str, level: str, thresholds: Sequence[Threshold]) -> str:
    """The data that chose the thresholds of a row, and their level."""
    threshold, others = thresholds[0], len({each.origin.source for each in thresholds}) - 1
    if origin == "test":
        return f"the test set itself, {level}s"
    split = f", split {threshold.origin.split}" if threshold.origin.split else ""
    of_videos = has_note(threshold.origin.notes, NoteKind.LEVEL)
    source = f"{threshold.origin.source}{f' and {others} other folds' if others else ''}"
    return f"{source}{split}, {'videos' if of_videos else 'frames'}"


def _over(group: Sequence[CrossCell]) -> str:
    """The cells of a group in words.

    Seeds and folds are counted. If the source and the test set have the same folds, each fold is counted once.
    """
    seeds = len({cell.seed for cell in group})
    train, test = len({cell.train_fold for cell in group}), len({cell.test_fold for cell in group})
    folds = max(train, test) if len(group) == seeds * max(train, test) else len(group) // seeds
    counted = [f"{seeds} seeds"] * (seeds > 1) + [f"{folds} folds"] * (folds > 1)
    return " x ".join(counted)


def _pooled(cells: Sequence[CrossCell], origin: str, resampling: Resampling) -> PadSummary:
    """The metrics of all folds together, each fold decided at its own threshold.

    For the decisions, the threshold of its fold is subtracted from each score, and 0 is the common threshold. The
    measures without a threshold use the unchanged scores, because the scale of a network's scores is part of the
    network.
    """
    aggregation = cells[0].summaries[origin].aggregation
    scores = [record for cell in cells for record in cell.records]
    relative = [
        record if record.score is None else replace(record, score=record.score - cell.summaries[origin].threshold.value)
        for cell in cells
        for record in cell.records
    ]
    decided = summarize(relative, 0.0, resampling=resampling, aggregation=aggregation)
    ranked = summarize(scores, 0.5, resampling=resampling, aggregation=aggregation)
    of_scores = {measure.key: ranked.rates[measure.key] for measure in MEASURES if measure.basis is Basis.SCORES}
    return replace(decided, rates={**decided.rates, **of_scores})


def _figure(key: str, summaries: Sequence[PadSummary], pooled: Sequence[PadSummary]) -> Figure:
    values = [summary.rates[key].value for summary in summaries]
    mean = statistics.fmean(values)
    sd = statistics.stdev(values) if len(values) > 1 else None
    together = statistics.fmean(summary.rates[key].value for summary in pooled) if pooled else None
    only = pooled[0] if len(pooled) == 1 else summaries[0]
    if len(pooled) == 1 or len(values) == 1:
        return Figure(mean, sd, only.rates[key].low, only.rates[key].high, together)
    return Figure(mean, sd, pooled=together)
