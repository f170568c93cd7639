"""The results of a cross-data-set evaluation as HTML, Markdown, CSV, LaTeX and JSON, with the same numbers in each."""

from facepad.report.cross.content import (
    CrossCell,
    CrossContent,
    CrossFinding,
    CrossNote,
    CrossRow,
    Figure,
    SetFacts,
    SystemFacts,
    runs_of,
)
from facepad.report.cross.published import PUBLISHED_CROSS, PublishedCross
from facepad.report.cross.write import write_cross

__all__ = [
    "PUBLISHED_CROSS",
    "CrossCell",
    "CrossContent",
    "CrossFinding",
    "CrossNote",
    "CrossRow",
    "Figure",
    "PublishedCross",
    "SetFacts",
    "SystemFacts",
    "runs_of",
    "write_cross",
]
