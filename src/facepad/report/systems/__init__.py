"""One report on the scores of one or more systems: pages, tables and a manifest by which it can be made again."""

from facepad.report.systems.content import (
    MeasuredSystem,
    PairTest,
    ReportOptions,
    SystemFiles,
    SystemsContent,
    named_files,
)
from facepad.report.systems.measure import measure_systems
from facepad.report.systems.verify import verify_report
from facepad.report.systems.write import write_systems

__all__ = [
    "MeasuredSystem",
    "PairTest",
    "ReportOptions",
    "SystemFiles",
    "SystemsContent",
    "measure_systems",
    "named_files",
    "verify_report",
    "write_systems",
]
