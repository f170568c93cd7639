"""The section on requirements: verdicts as rows of formatted text, and their notes."""

from __future__ import annotations

from collections.abc import Sequence

from facepad.metrics import Finding, finding_notes
from facepad.metrics.requirements import Count
from facepad.report.text import count, percent, words

__all__ = ["COLUMNS", "EXPLANATION", "requirement_rows", "requirement_section"]

EXPLANATION = (
    "Each requirement is held against the exact one-sided 95 % upper bound of the rate. PASS: the bound is within the "
    "limit. TOO FEW: there is no error, but so few presentations do not show that the limit is met. FAIL: there is an "
    "error, and the bound exceeds the limit. A limit of 0 is held against the number of errors alone. A subject with "
    "at least one error counts as one error."
)
"""The meaning of the verdicts, as sentences."""

COLUMNS = ("Requirement", "Of", "Verdict", "Errors", "Upper bound", "Errors of subjects", "Verdict for subjects")
"""The columns of the table."""


def requirement_rows(findings: Sequence[Finding]) -> list[tuple[str, ...]]:
    """Return one row of formatted text for each finding; the texts on subjects are "-" without subjects."""
    return [
        (
            str(each.requirement),
            words(each.species or "bona fide"),
            each.presentations.verdict.value,
            _errors(each.presentations),
            percent(each.presentations.bound),
            _errors(each.subjects) if each.subjects else "-",
            each.subjects.verdict.value if each.subjects else "-",
        )
        for each in findings
    ]


def _errors(found: Count) -> str:
    return f"{count(found.errors)} of {count(found.n)}"


def requirement_section(
    findings: Sequence[Finding], about: str = ""
) -> tuple[list[tuple[str, ...]], tuple[str, ...], str, list[str]]:
    """Return the arguments of the template's macro: rows, columns, explanation and notes.

    Args:
        findings: The findings.
        about: A sentence on the decisions that the requirements are held against.
    """
    return requirement_rows(findings), COLUMNS, f"{EXPLANATION} {about}".strip(), finding_notes(findings)
