"""A finding about the images of a site, and the refusal of a site that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from facepad.errors import DatasetError
from facepad.files.disk import read_text, write_json

__all__ = [
    "SHOWN",
    "Finding",
    "Severity",
    "first_names",
    "read_findings",
    "refuse_stops",
    "shown",
    "write_findings",
]

_FILE = "findings.json"

Severity = Literal["stop", "short-cut", "warning", "note"]
"""The severity of a finding.

``stop``: no model can be made. ``short-cut``: a network may learn something other than the difference between faces and
attacks. ``warning``: the result gets worse or less certain. ``note``: a fact.
"""

SHOWN = 5
"""Maximum number of names in a finding."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about the images of a site.

    Attributes:
        severity: The severity.
        text: One line in plain words: what was found, and what to do.
        evidence: Numbers and file names, one line each.
    """

    severity: Severity
    text: str
    evidence: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The finding as lines for the terminal.

        >>> Finding("note", "1 exact duplicate was left out", ("site/live/anna/2.jpg",)).lines()
        ['note: 1 exact duplicate was left out', '    site/live/anna/2.jpg']
        """
        return [f"{self.severity}: {self.text}", *(f"    {line}" for line in self.evidence)]


def refuse_stops(findings: Iterable[Finding], site: str) -> None:
    """Refuse a site that has findings of the severity ``stop``.

    Args:
        findings: Findings of all severities.
        site: Name of the site, for the message.

    Raises:
        DatasetError: the text of every ``stop``, in one line.

    Example:
        >>> refuse_stops([Finding("note", "3 people"), Finding("stop", "one clip"), Finding("stop", "no face")], "desk")
        Traceback (most recent call last):
        facepad.errors.DatasetError: desk: one clip; no face
    """
    stops = [finding.text for finding in findings if finding.severity == "stop"]
    if stops:
        raise DatasetError(f"{site}: {'; '.join(stops)}")


def write_findings(manifest: Path, findings: Sequence[Finding]) -> None:
    """Write the findings of a site's preparation to findings.json beside the manifest.

    Raises:
        RunError: the file cannot be written.
    """
    write_json(manifest.parent / _FILE, [asdict(finding) for finding in findings])


def read_findings(manifest: Path) -> tuple[Finding, ...]:
    """The findings of a site's preparation; empty if findings.json is not beside the manifest.

    Raises:
        DatasetError: findings.json was not written by facepad.
    """
    path = manifest.parent / _FILE
    if not path.is_file():
        return ()
    try:
        return tuple(
            Finding(each["severity"], each["text"], tuple(each["evidence"])) for each in json.loads(read_text(path))
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} holds no findings of facepad; remove it") from error


def first_names(names: Sequence[str]) -> str:
    """The first names of a list, and the number of the others.

    >>> first_names(["anna", "ben"]), first_names(list("abcdefg"))
    ('anna, ben', 'a, b, c, d, e and 2 more')
    """
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def shown(path: str) -> str:
    """The path of an image for a finding, without the leading ``../`` of a path relative to the manifest.

    >>> shown("../../site/live/anna/1.jpg")
    'site/live/anna/1.jpg'
    """
    while path.startswith("../"):
        path = path.removeprefix("../")
    return path
