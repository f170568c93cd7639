"""The sentences of a report: the result, warnings and notes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from facepad.metrics import NoteKind, PadSummary, Rate, has_note
from facepad.report.content import ReportContent
from facepad.report.text import count, counted, criterion_words, interval, number, percent, words
from facepad.types import ScoreStatus, Split

__all__ = ["Remark", "decision", "non_responses", "remarks"]

_FEW_CLUSTERS = 10
_STATUS_WORDS = {
    ScoreStatus.NO_FACE.value: "no face found",
    ScoreStatus.UNREADABLE.value: "unreadable",
    ScoreStatus.LOW_QUALITY.value: "low quality",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """A warning or a note.

    Attributes:
        kind: "warning" for a limit on the use of the figures, "note" for an explanation.
        text: One or more sentences.
    """

    kind: Literal["warning", "note"]
    text: str


def decision(content: ReportContent) -> Markup:
    """Return the threshold and the error rates as sentences with bold figures."""
    summary, threshold = content.summary, content.threshold
    origin = threshold.origin
    if origin.sha256 is None:
        chosen = Markup("given as a number and not chosen on data")
    else:
        chosen = Markup("chosen on {} ({} bona fide, {}) by the criterion {} ({})").format(
            f"the {origin.split} scores" if origin.split else "scores without a split",
            count(origin.n_bona_fide),
            counted(origin.n_attack, "attack"),
            threshold.criterion,
            criterion_words(threshold.criterion),
        )
    worst = words(summary.worst_instrument)
    kind = "attacks" if worst == "unknown" else f"{worst} attacks"
    if len(summary.instruments) > 1:
        kind = f"attacks of the worst instrument ({worst})"
    apcer = _of_worst(summary)
    return Markup(
        "The threshold <b>{}</b> was {}. At this threshold <b>{}</b> of the {} were accepted ({}), and <b>{}</b> of "
        "the bona fide presentations were rejected ({})."
    ).format(
        number(threshold.value),
        chosen,
        percent(apcer.value),
        kind,
        _count_and_interval(apcer),
        percent(summary.rates["bpcer"].value),
        _count_and_interval(summary.rates["bpcer"]),
    )


def _of_worst(summary: PadSummary) -> Rate:
    """APCER of the worst instrument with its own interval. APCER of the summary has the highest bounds of all."""
    return summary.instruments[summary.worst_instrument].apcer or summary.rates["apcer"]


def _count_and_interval(rate: Rate) -> str:
    return f"{count(round(rate.value * rate.n))} of {count(rate.n)}; 95 % interval {interval(rate)}"


def non_responses(content: ReportContent) -> str:
    """Return two sentences with the numbers of non-responses and their reasons; empty without non-responses."""
    parts = []
    for label, name in (("attack", "attack"), ("bona_fide", "bona fide presentation")):
        found = {status: n for status, n in content.summary.non_responses[label].items() if n}
        if found:
            why = ", ".join(f"{_STATUS_WORDS[status]} {count(n)}" for status, n in found.items())
            parts.append(f"{counted(sum(found.values()), name)} ({why})")
    if not parts:
        return ""
    return f"No score for {' and '.join(parts)}. These samples count as neither accepted nor rejected."


def remarks(content: ReportContent) -> list[Remark]:
    """Return the warnings and then the notes, without duplicates."""
    found = [*_threshold_warnings(content), *_leak_warnings(content), *_notes(content)]
    return sorted(dict.fromkeys(found), key=lambda remark: remark.kind != "warning")


def _threshold_warnings(content: ReportContent) -> Iterator[Remark]:
    origin, split = content.threshold.origin, content.split_name
    if origin.sha256 == content.summary.sha256 or has_note(origin.notes, NoteKind.CHOSEN_ON_ITSELF):
        yield Remark(
            "warning",
            f"The threshold was chosen on the {split} scores themselves. Therefore every rate at the threshold is "
            "optimistic. Choose the threshold on dev scores to get realistic rates.",
        )
    elif origin.split is Split.TEST:
        yield Remark("warning", "The threshold was chosen on scores of a test split, not on dev.")
    if origin.separable:
        gap = f" from {number(origin.interval[0])} to {number(origin.interval[1])}" if origin.interval else ""
        yield Remark(
            "warning",
            f"The {f'{origin.split} ' if origin.split else ''}scores that the threshold was chosen on are perfectly "
            f"separable: every attack scores below every bona fide sample, with a gap{gap}. Every criterion then gives "
            "the middle of this gap. The data do not determine which threshold in the gap is best.",
        )
    if origin.sha256 is None:
        yield Remark("note", "The threshold was given as a number. It was not chosen on any data set.")
    for note in origin.notes if origin.sha256 else ():
        if note.kind not in (NoteKind.CHOSEN_ON_ITSELF, NoteKind.SEPARABLE):  # warnings replace these notes
            yield Remark("note", f"Threshold: {note}.")


def _leak_warnings(content: ReportContent) -> Iterator[Remark]:
    clips, dev_clips = ({(r.subject, r.video) for r in part if r.video} for part in (content.measured, content.dev))
    people, dev_people = ({r.subject for r in part if r.subject} for part in (content.measured, content.dev))
    split = content.split_name
    if clips & dev_clips:
        yield Remark(
            "warning",
            f"The protocol leaks: {count(len(clips & dev_clips))} of {count(len(clips))} {split} clips or capture "
            "sessions also have frames in dev. Both splits contain nearly identical images, as in a random split of "
            "frames. These figures therefore say little about new people or new recordings.",
        )
    elif people & dev_people:
        yield Remark(
            "note", f"{count(len(people & dev_people))} of {count(len(people))} {split} subjects are also in dev."
        )


def _notes(content: ReportContent) -> Iterator[Remark]:
    summary = content.summary
    if summary.cluster is None:
        yield Remark(
            "note",
            "Intervals assume independent frames. Frames of one recording are similar, so the true intervals are "
            "wider.",
        )
    elif summary.n_clusters < _FEW_CLUSTERS:
        yield Remark("note", f"Intervals rest on only {counted(summary.n_clusters, summary.cluster)}.")
    own, reported = _of_worst(summary), summary.rates["apcer"]
    if (own.low, own.high) != (reported.low, reported.high):
        yield Remark(
            "note",
            f"The interval of APCER in tables, {interval(reported)}, has the highest bounds of all instruments, "
            "because another instrument may be the worst in truth.",
        )
    if summary.rates["eer"].value == 0:
        yield Remark(
            "note",
            f"The {content.split_name} scores are also perfectly separable. The upper ends of the intervals are the "
            "only information about the true error rates.",
        )
    for note in (*summary.notes, *content.notes):
        if note.kind is not NoteKind.CHOSEN_ON_ITSELF:
            kind: Literal["warning", "note"] = "warning" if note.kind is NoteKind.OVERLAP else "note"
            yield Remark(kind, f"{note.text[:1].upper()}{note.text[1:].rstrip('.')}.")
