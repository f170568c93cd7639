"""The report of an evaluation as report.html, report.md and metrics.json, with the same numbers in each file."""

from facepad.report.content import DepthExample, ReportContent, ShortcutProbe
from facepad.report.depth import depth_examples
from facepad.report.write import write_report

__all__ = ["DepthExample", "ReportContent", "ShortcutProbe", "depth_examples", "write_report"]
