"""The section on requirements: verdicts as rows of text, the verdicts on whole profiles, and notes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from facepad.metrics import Finding, finding_notes, profile_results
from facepad.metrics.requirements import Count
from facepad.report.latex import tabular
from facepad.report.text import count, percent, words

__all__ = ["REQUIREMENTS_FILE", "RequirementSection"]

REQUIREMENTS_FILE = "requirements.csv"
"""File name of the verdicts."""

_EXPLANATION = (
    "Each requirement is held against the exact one-sided 95 % upper bound of the rate. PASS: the bound is within the "
    "limit. TOO FEW: there is no error, but so few presentations do not show that the limit is met. FAIL: there is an "
    "error, and the bound exceeds the limit. A limit of 0 is held against the number of errors alone, and has no "
    "verdict for subjects. A subject with at least one error counts as one error. The intervals of all other tables "
    "are two-sided, so their upper ends are other numbers."
)
_COLUMNS = ("Requirement", "Of", "Verdict", "Errors", "Upper bound", "Errors of subjects", "Verdict for subjects")
_PROFILE_COLUMNS = ("Profile", "Verdict", "Reason")
_FIELDS = ("requirement", "profile", "of", "verdict", "errors", "n", "bound", "subject_errors", "subjects",
           "subject_bound", "subject_verdict", "reason")  # fmt: skip


@dataclass(frozen=True)
class RequirementSection:
    """Findings on requirements, for all formats of a report.

    Attributes:
        parts: The place of findings and the findings, such as a system with its findings. A place has one text for each
            column of ``places``.
        places: Titles of the columns of places; empty for one place without a name.
        about: A sentence on the decisions that the requirements are held against.
    """

    parts: Sequence[tuple[tuple[str, ...], Sequence[Finding]]]
    places: tuple[str, ...] = ()
    about: str = ""

    def __bool__(self) -> bool:
        return any(findings for _, findings in self.parts)

    @property
    def columns(self) -> tuple[str, ...]:
        """Titles of the columns of `rows`. All columns up to the verdict hold text."""
        return (*self.places, *_COLUMNS)

    @property
    def text_columns(self) -> int:
        """Number of columns of `rows` up to the verdict."""
        return len(self.places) + 3

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """One row for each finding; the texts on subjects are "-" without subjects."""
        return [(*place, *_row(each)) for place, findings in self.parts for each in findings]

    @property
    def profile_columns(self) -> tuple[str, ...]:
        """Titles of the columns of `profiles`."""
        return (*self.places, *_PROFILE_COLUMNS)

    @property
    def profiles(self) -> list[tuple[str, ...]]:
        """One row for each profile as a whole; empty without profiles."""
        return [
            (*place, each.profile, each.verdict.value, words("; ".join(each.reasons)) or "-")
            for place, findings in self.parts
            for each in profile_results(findings)
        ]

    @property
    def explanation(self) -> str:
        """The meaning of the verdicts, as sentences."""
        return f"{_EXPLANATION} {self.about}".strip()

    @property
    def notes(self) -> list[str]:
        """The notes that all places share, and then those of single places. A note has no final full stop."""
        of_each = [
            (", ".join(text for text in place if text != "-"), finding_notes(findings))
            for place, findings in self.parts
            if findings
        ]
        shared = [note for note in of_each[0][1] if all(note in notes for _, notes in of_each)] if of_each else []
        return shared + [f"{name}: {note}" for name, notes in of_each for note in notes if note not in shared]

    def csv(self) -> str:
        """The verdicts as CSV: one line for each finding, and one for each profile as a whole. Bounds are fractions."""
        stream = io.StringIO()
        places = [name.lower().replace(" ", "_") for name in self.places]
        writer = csv.DictWriter(stream, [*places, *_FIELDS], restval="", lineterminator="\n")
        writer.writeheader()
        for place, findings in self.parts:
            where = dict(zip(places, place, strict=True))
            writer.writerows(where | _fields(each) for each in findings)
            for each in profile_results(findings):
                reason = "; ".join(each.reasons)
                writer.writerow(where | {"profile": each.profile, "verdict": each.verdict.value, "reason": reason})
        return stream.getvalue()

    def latex(self) -> Iterator[str]:
        """Yield the lines of the tables of `rows` and `profiles` in LaTeX; nothing without findings."""
        if self:
            yield "% Requirements, held against the exact one-sided 95 % upper bound."
            yield from tabular(self.columns, self.rows, text_columns=self.text_columns)
        if self.profiles:
            yield "% Profiles as a whole: the worst verdict of their parts."
            yield from tabular(self.profile_columns, self.profiles, text_columns=len(self.profile_columns))


def _row(found: Finding) -> tuple[str, ...]:
    subjects = found.subjects
    return (
        found.requirement.title,
        words(found.species or "bona fide"),
        found.presentations.verdict.value,
        _errors(found.presentations),
        percent(found.presentations.bound),
        _errors(subjects) if subjects else "-",
        subjects.verdict.value if subjects else "-",
    )


def _errors(found: Count) -> str:
    return f"{count(found.errors)} of {count(found.n)}"


def _fields(found: Finding) -> dict[str, object]:
    shown, people = found.presentations, found.subjects
    fields: dict[str, object] = {
        "requirement": str(found.requirement),
        "profile": found.requirement.profile,
        "of": found.species or "bona_fide",
        "verdict": shown.verdict.value,
        "errors": shown.errors,
        "n": shown.n,
        "bound": shown.bound,
    }
    if people is not None:
        fields |= {"subject_errors": people.errors, "subjects": people.n, "subject_bound": people.bound}
        fields |= {"subject_verdict": people.to_dict()["verdict"]}
    return fields
