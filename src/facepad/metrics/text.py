"""Text of summaries and comparisons for a terminal: tables of rates in percent with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from facepad.errors import number_of
from facepad.metrics.compare import Comparison, Difference, compared_measures
from facepad.metrics.group_text import group_lines
from facepad.metrics.intervals import Rate
from facepad.metrics.levels import level_words
from facepad.metrics.measures import PRECISION_RECALL, Basis, measures_of
from facepad.metrics.notes import joined
from facepad.metrics.profiles import PROFILES, profile_notes, profile_results
from facepad.metrics.requirements import Count, Finding, Requirement, Verdict
from facepad.metrics.series import worst_series
from facepad.metrics.summary import PadSummary
from facepad.metrics.thresholds import Threshold
from facepad.metrics.whole_system import SYSTEM_MEASURES, WholeSystem

__all__ = [
    "finding_notes",
    "format_comparison",
    "format_findings",
    "format_plan",
    "format_summary",
    "format_threshold",
    "format_whole_system",
]

_PLANNED_ERRORS = 4
_PLAN_FIRST = "plan a longer test before it starts: if a test goes on until it passes, the 95 % does not hold"


def format_summary(summary: PadSummary) -> str:
    """Format a summary as a table without colours and without a final newline.

    Rates are in percent, as the head of the table says.
    """
    return "\n".join(_summary_lines(summary))


def _summary_lines(summary: PadSummary) -> Iterator[str]:
    matrix = summary.confusion
    split = f", {summary.split} split" if summary.split else ""
    level = f", {level_words(summary.aggregation)}" if summary.aggregation else ""
    yield f"{summary.source or 'scores'}{split}{level}"
    unscored = sum(sum(counts.values()) for counts in summary.non_responses.values())
    bona_fide = matrix.bona_fide_accepted + matrix.bona_fide_rejected
    yield (
        f"{matrix.total} scored: {bona_fide} bona fide, {number_of(matrix.total - bona_fide, 'attack')}; "
        f"{unscored} without a score"
    )
    yield from _threshold_lines(summary.threshold)
    yield ""
    yield from _rate_table(list(_summary_rates(summary)))
    yield ""
    yield f"{'decisions':<20}{'accepted':>10}{'rejected':>10}{'no response':>13}"
    for name, accepted, rejected in (
        ("bona_fide", matrix.bona_fide_accepted, matrix.bona_fide_rejected),
        ("attack", matrix.attack_accepted, matrix.attack_rejected),
    ):
        missing = sum(summary.non_responses[name].values())
        yield f"{name.replace('_', ' '):<20}{accepted:>10}{rejected:>10}{missing:>13}"
    if summary.groups:
        yield ""
        yield from group_lines(summary.groups)
    for note in summary.notes:
        yield f"note: {note}"


def format_threshold(threshold: Threshold) -> str:
    """Format a threshold with its origin, and with the notes of the origin on a second line."""
    return "\n".join(_threshold_lines(threshold))


def _threshold_lines(threshold: Threshold) -> Iterator[str]:
    origin = threshold.origin
    if origin.sha256 is None:
        yield f"threshold {threshold.value:.6g}: {joined(origin.notes)}"
        return
    where = f"{origin.source}{f', {origin.split} split' if origin.split else ''}"
    on = f"{origin.n_bona_fide} bona fide, {number_of(origin.n_attack, 'attack')}"
    span = f", interval {origin.interval[0]:.4g} to {origin.interval[1]:.4g}" if origin.interval else ""
    yield f"threshold {threshold.value:.6g} by {threshold.criterion} on {where} ({on}){span}"
    if origin.notes:
        yield f"note: {joined(origin.notes)}"


def _summary_rates(summary: PadSummary) -> Iterator[tuple[str, Rate | None]]:
    yield from _measure_rates(summary, Basis.THRESHOLD)
    yield from _measure_rates(summary, Basis.SCORES)
    for limit, rate in summary.bpcer_at_apcer.items():
        yield f"BPCER where APCER <= {100 * limit:g} %", rate
    for positive, rates in summary.precision_recall.items():
        for key, figure in rates.items():
            yield f"{PRECISION_RECALL[key][0]}, {positive.replace('_', ' ')} = positive", figure
    yield from _measure_rates(summary, Basis.RESPONSES)
    if any(n for counts in summary.non_responses.values() for n in counts.values()):
        for name, rate in summary.non_responses_as_errors.items():
            yield f"  {name}, no response = error", rate


def _measure_rates(summary: PadSummary, basis: Basis) -> Iterator[tuple[str, Rate | None]]:
    for measure in measures_of(basis):
        title = measure.title.format(worst=summary.worst_instrument, split=summary.split or "same")
        yield title, summary.rates[measure.key]
        if measure.key == "apcer" and len(summary.instruments) > 1:
            for name, instrument in summary.instruments.items():
                if instrument.apcer:
                    yield f"  APCER {name}", instrument.apcer
        if measure.key == "apcer" and (worst := worst_series(summary.series)):
            yield f"  APCER, worst series: {worst}", worst.apcer


def _rate_table(rows: Sequence[tuple[str, Rate | None]]) -> Iterator[str]:
    """The lines of a table of titles and rates. The longest title decides the width of the first column."""
    first = _width([title for title, _ in rows], 36)
    yield f"{'':<{first}}{'%':>8}  {'95 % interval, %':>18}{'n':>9}  interval method"
    for title, rate in rows:
        if rate is None:
            yield f"{title:<{first}}{'-':>8}  not defined"
        else:
            span = f"{100 * rate.low:.3f} to {100 * rate.high:>7.3f}"
            yield f"{title:<{first}}{100 * rate.value:>8.3f}  {span:>18}{rate.n:>9}  {rate.method}"


def format_findings(findings: Sequence[Finding]) -> str:
    """Format requirements with their verdicts as a table without a final newline. Bounds are in percent."""
    return "\n".join(_finding_lines(findings))


def _finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    first = _width([found.requirement.title for found in findings], 14)
    second = _width([found.species or "bona fide" for found in findings], 16)
    yield (
        f"{'requirement':<{first}}{'of':<{second}}{'errors':>14}{'95 % bound, %':>15}  {'verdict':<8}"
        f"{'errors of subjects':>19}  verdict"
    )
    for found in findings:
        shown, people = found.presentations, found.subjects
        of_people = f"{_errors(people):>19}  {people.verdict}" if people else f"{'-':>19}  -"
        yield (
            f"{found.requirement.title:<{first}}{found.species or 'bona fide':<{second}}{_errors(shown):>14}"
            f"{100 * shown.bound:>15.2f}  {shown.verdict:<8}{of_people}"
        )
    for each in profile_results(findings):
        reasons = f" ({'; '.join(each.reasons)})" if each.reasons else ""
        yield f"profile {each.profile} as a whole: {each.verdict}{reasons}"
    for note in finding_notes(findings):
        yield f"note: {note}"


def _width(texts: Sequence[str], least: int) -> int:
    """The width of a column of texts, with two spaces after the longest one."""
    return max(least, *(len(text) + 2 for text in texts), 0)


def _numbers(findings: Sequence[Finding]) -> list[str]:
    """The presentations that limits take. A limit that is named twice is told once, as the stricter of both."""
    needed: dict[object, str] = {}
    enough: dict[object, str] = {}
    for found in sorted(findings, key=lambda found: not found.requirement.strict):
        limit, errors, n = found.requirement, found.presentations.errors, found.requirement.needed()
        shown = number_of(n or 0, "presentation")
        text = f"the limit 0 allows no error, whatever the bound: {shown} without an error pass{'es' * (n == 1)}"
        if limit.limit:
            side = "below" if limit.strict else "within"
            show = f"{shown} show{'s' * (n == 1)}"
            text = f"without an error, {show} that a rate is {side} {100 * limit.limit:g} %"
        needed.setdefault((limit.limit, n), text)
        if limit.limit and found.presentations.verdict is Verdict.FAIL:
            would = f"with {number_of(errors, 'error')}, {limit.needed(errors)} presentations would pass"
            key = limit.rate, limit.limit, found.species, limit.needed(errors)
            enough.setdefault(key, f"{limit} of {found.species or 'bona fide'}: {would}")
    return [*needed.values(), *enough.values(), *([_PLAN_FIRST] if enough else [])]


def finding_notes(findings: Sequence[Finding]) -> list[str]:
    """Return notes on findings: the presentations that they take, those without a score, and the profiles."""
    notes = _numbers(findings)
    # A class that two requirements count is the same presentations.
    unscored = {found.species or "bona fide": found.unscored for found in findings if found.unscored}
    if unscored:
        each_class = ", ".join(f"{n} {name}" for name, n in unscored.items())
        notes.append(f"presentations without a score are not counted (see APNRR and BPNRR): {each_class}")
    if any(found.optimistic for found in findings):
        notes.append(
            "the threshold was chosen on these presentations, so PASS does not show that others meet the limit at it"
        )
    return notes + profile_notes(findings)


def _errors(count: Count) -> str:
    return f"{count.errors} of {count.n}"


def format_whole_system(system: WholeSystem) -> str:
    """Format the rates of a whole system as a table without a final newline. Rates are in percent."""
    return "\n".join(_system_lines(system))


def _system_lines(system: WholeSystem) -> Iterator[str]:
    limit = "" if system.match_threshold is None else f", accepted from a score of {system.match_threshold:g}"
    yield f"whole system: detection and comparison{limit}"
    yield from _rate_table(list(_system_rates(system)))
    for note in system.notes:
        yield f"note: {note}"


def _system_rates(system: WholeSystem) -> Iterator[tuple[str, Rate]]:
    for key, title in SYSTEM_MEASURES.items():
        if (rate := system.rates[key]) is not None:
            yield title, rate
        if key == "iapar":
            yield from ((f"  IAPAR {name}", each) for name, each in system.species.items())
    yield from ((f"APAR {name}", rate) for name, rate in system.acquired.items())


def format_plan(requirements: Sequence[Requirement]) -> str:
    """Format the presentations that requirements take, by the number of errors, as a table without a final newline."""
    return "\n".join(_plan_lines(requirements))


def _plan_lines(requirements: Sequence[Requirement]) -> Iterator[str]:
    heads = [number_of(errors, "error") for errors in range(_PLANNED_ERRORS)]
    first = _width([each.title for each in requirements], 14)
    yield f"{'requirement':<{first}}{'presentations of':<20}" + "".join(f"{head:>10}" for head in heads)
    for each in requirements:
        what = "bona fide people" if each.rate == "bpcer" else "each PAI species"
        needed = (each.needed(errors) for errors in range(_PLANNED_ERRORS))
        yield f"{each.title:<{first}}{what:<20}" + "".join(f"{'-' if count is None else count:>10}" for count in needed)
    yield from _collect_lines(requirements)
    if any(each.limit for each in requirements):
        yield f"note: {_PLAN_FIRST}"
        yield "note: presentations of one subject are not independent: the bound holds for people if no subject has two"
    for name in dict.fromkeys(each.profile for each in requirements if each.profile):
        yield f"note: profile {name}: {PROFILES[name].source}"
        yield f"note: profile {name} does not cover: {PROFILES[name].missing}".rstrip(".")


def _collect_lines(requirements: Sequence[Requirement]) -> Iterator[str]:
    """The least to collect: the numbers without an error."""
    live = max((each.needed() or 0 for each in requirements if each.rate == "bpcer"), default=0)
    attacks = max((each.needed() or 0 for each in requirements if each.rate != "bpcer"), default=0)
    if live:
        yield f"collect at least: {live} bona fide {'person' if live == 1 else 'people'}, with one presentation each"
    if attacks:
        # A limit of 0 has no bound, so its presentations need no other people.
        bounded = max((each.needed() or 0 for each in requirements if each.rate != "bpcer" and each.limit), default=0)
        people = ", each of another person" if bounded == attacks else f", {bounded} of them of different people"
        people = people if bounded else ""
        yield f"collect at least: {number_of(attacks, 'presentation')} of each PAI species{people}"
    profiles = {each.profile: PROFILES[each.profile].species for each in requirements if each.profile}
    for name, species in profiles.items():
        if species:
            total = number_of(species * attacks, "attack presentation")
            yield f"collect at least: {species} PAI species for {name}, so {total}"


def format_comparison(comparison: Comparison) -> str:
    """Format a comparison as tables without colours and without a final newline; the last lines hold the verdict."""
    return "\n".join(_comparison_lines(comparison))


def _comparison_lines(found: Comparison) -> Iterator[str]:
    for letter, name, threshold in zip("AB", found.names, found.thresholds, strict=True):
        yield f"{letter}: {name}"
        yield from (f"   {line}" for line in _threshold_lines(threshold))
    split = f"{found.split} " if found.split else ""
    what = level_words(found.aggregation)
    yield f"{found.n_bona_fide} bona fide and {found.n_attack} attack {split}{what} have a score in both systems"
    yield f"left out: {found.only_a} only in A, {found.only_b} only in B; no score " + ", ".join(
        f"in {who} {n}" for who, n in zip(("A only", "B only", "both"), found.unscored, strict=True)
    )
    yield ""
    yield f"{'':<32}{'A, %':>8}{'B, %':>8}{'B - A':>9}  {'95 % interval, B - A':>20}{'p':>10}  interval method"
    for measure in compared_measures():
        yield _difference_line(measure.compared, found.differences[measure.key])
    yield ""
    yield f"{'decided rightly by':<20}{'both':>10}{'A only':>10}{'B only':>10}{'neither':>10}{'p (McNemar)':>14}"
    for name, tested in found.decisions.items():
        counts = (tested.both_right, tested.only_a, tested.only_b, tested.both_wrong)
        yield f"{name.replace('_', ' '):<20}{''.join(f'{n:>10}' for n in counts)}{_p_value_text(tested.p):>14}"
    yield "McNemar's test takes the samples as independent. If samples share subjects, the p of this test is too small."
    for note in found.notes:
        yield f"note: {note}"
    yield ""
    for name in ("eer", "acer"):
        yield f"{name.upper()}: {_verdict(found.differences[name])}"


def _p_value_text(p: float | None) -> str:
    return "-" if p is None else "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def _difference_line(title: str, found: Difference) -> str:
    span = "-" if found.low is None or found.high is None else f"{100 * found.low:+.3f} to {100 * found.high:>+7.3f}"
    values = f"{100 * found.a:>8.3f}{100 * found.b:>8.3f}{100 * found.difference:>+9.3f}"
    return f"{title:<32}{values}  {span:>20}{_p_value_text(found.p):>10}  {found.method}"


def _verdict(found: Difference) -> str:
    if found.difference == 0:
        return "no difference between A and B on these samples."
    better = "B" if found.difference < 0 else "A"
    chance = "a significant difference" if found.significant else "which may be chance"
    p = _p_value_text(found.p)
    return f"{better} errs less by {100 * abs(found.difference):.3f} percentage points, {chance} (p {p})."
