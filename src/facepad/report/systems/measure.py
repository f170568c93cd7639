"""Measuring of several systems from their scores files, and the paired tests between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from facepad.errors import MetricError, ScoresError
from facepad.metrics import (
    Comparison,
    System,
    check_system,
    compare_records,
    has_matches,
    parse_criterion,
    read_requirements,
    read_scores,
    summarize,
    system_curve,
    system_of,
    with_groups,
)
from facepad.metrics.field import field_rates
from facepad.metrics.from_file import Parts, parts_of
from facepad.metrics.multiple import holm
from facepad.metrics.scores import is_line_name
from facepad.metrics.times import DecisionTimes, decision_times
from facepad.report.content import ReportContent
from facepad.report.systems.content import MeasuredSystem, PairTest, ReportOptions, SystemFiles, SystemsContent
from facepad.types import ScoreRecord, Split

__all__ = ["measure_systems"]


def measure_systems(files: Sequence[SystemFiles], options: ReportOptions) -> SystemsContent:
    """Measure each system at a threshold that is chosen on its own dev scores, and test each pair of systems.

    Args:
        files: The files of each system, at least one system.
        options: The options of the report.

    Raises:
        ScoresError: a file cannot be read or has an invalid format, or a column of times or of matches holds
            something else.
        MetricError: one class has no scores, the criterion or a requirement is unknown, a requirement cannot be
            checked, a column makes no groups, or a threshold of match is given and no system has a comparison.
    """
    parse_criterion(options.criterion)
    systems = [_measured(each, options) for each in files]
    compared = any(_compares(each.files, each.content.measured) for each in systems)
    if options.match_threshold is not None and not compared:
        raise MetricError("a threshold of match needs comparisons: a column match, or --match OTHER.csv")
    tests = [_compared(pair, options) for pair in combinations(systems, 2)]
    adjusted = _adjusted([test.comparison for test in tests])
    tests = [replace(test, adjusted=own) for test, own in zip(tests, adjusted, strict=True)]
    return SystemsContent(systems, tests, options)


def _measured(files: SystemFiles, options: ReportOptions) -> MeasuredSystem:
    parts = parts_of(files.scores, aggregation=options.aggregation, dev=files.dev, higher_is=options.higher_is)
    # The name of the file, not its path: a report that is made again in another folder must be the same.
    parts = replace(parts, source=(files.dev or files.scores).name)
    requirements = read_requirements(options.require, options.profile)
    match_threshold = options.match_threshold if _compares(files, parts.measured) else None
    with _errors_of(files.dev or files.scores):
        threshold = parts.threshold(options.criterion)
    with _errors_of(files.scores):
        summary = summarize(
            parts.measured, threshold, source=files.scores.name, notes=parts.notes, aggregation=options.aggregation
        )
        summary = with_groups(summary, parts.measured, options.by)
        whole = system_of(
            parts.measured,
            threshold.value,
            match=files.match,
            match_threshold=match_threshold,
            aggregation=options.aggregation,
        )
        curve = system_curve(parts, threshold.value, files.match, match_threshold)[0] if whole else None
        findings = check_system(parts.measured, threshold, requirements, whole)
    content = ReportContent(files.name, summary, [*_dev(parts), *parts.measured], threshold, findings=findings)
    return MeasuredSystem(files, content, field_rates(parts.measured), _times(files, parts), whole, curve)


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Name the file in errors, because a report has several."""
    try:
        yield
    except (MetricError, ScoresError) as error:
        raise type(error)(f"{path}: {error}") from None


def _compares(files: SystemFiles, records: Sequence[ScoreRecord]) -> bool:
    """Whether a system has the decisions of a comparison."""
    return files.match is not None or has_matches(records)


def _dev(parts: Parts) -> list[ScoreRecord]:
    """The dev records, if the measured records are of another split."""
    if parts.measured[0].split in (None, Split.DEV):
        return []
    return [record for record in parts.chooses if record.split is Split.DEV]


def _times(files: SystemFiles, parts: Parts) -> DecisionTimes | None:
    """The times of the measured lines. A video has no time of its own, so the times are those of its frames."""
    records = parts.measured
    if parts.aggregation:
        records = [line for line in read_scores(files.scores).records if line.split is records[0].split]
    with _errors_of(files.scores):
        return decision_times(records)


def _compared(pair: tuple[MeasuredSystem, MeasuredSystem], options: ReportOptions) -> PairTest:
    names = pair[0].name, pair[1].name
    for each in pair:
        if any(is_line_name(record.path) for record in each.content.measured):
            reason = f"the file of {each.name} does not name its presentations (column path)"
            return PairTest(names, None, reason=reason)
    first, second = (System(each.name, each.content.measured, each.content.threshold) for each in pair)
    try:
        return PairTest(names, compare_records(first, second, aggregation=options.aggregation))
    except (ScoresError, MetricError) as error:
        return PairTest(names, None, reason=str(error))


def _p_values(comparison: Comparison) -> dict[str, float | None]:
    found = {key: difference.p for key, difference in comparison.differences.items()}
    return found | {"mcnemar": comparison.decisions["all"].p}


def _adjusted(comparisons: Sequence[Comparison | None]) -> list[Mapping[str, float | None]]:
    """Holm's p-values of each comparison. The tests of one measure between all pairs of systems are one family."""
    found: list[dict[str, float | None]] = [{} if each is None else _p_values(each) for each in comparisons]
    for key in {key for each in found for key in each}:
        places = [place for place, each in enumerate(found) if each.get(key) is not None]
        for place, p in zip(places, holm([p for each in found if (p := each.get(key)) is not None]), strict=True):
            found[place][key] = p
    return list(found)
