"""The report of an evaluation: one self-contained report.html, and metrics.json with the same numbers."""

from facepad.report.content import ReportContent, ShortcutProbe
from facepad.report.write import write_report

__all__ = ["ReportContent", "ShortcutProbe", "write_report"]
