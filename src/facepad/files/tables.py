"""Reading the lines of CSV files: manifests, scores and lists of data sets."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator

from facepad.files.columns import column_name

__all__ = ["NotCsvError", "csv_lines"]

_SIGNS = {";": "semicolons", "\t": "tabs"}


class NotCsvError(ValueError):
    """A text is not CSV.

    Attributes:
        line: Number of the line, from 1.
    """

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


def csv_lines(
    lines: Iterable[str], known: Collection[str] = (), *, strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """The number and the fields of each line of a CSV file. A blank line has no fields.

    Args:
        lines: Lines of the file, with line ends.
        known: Names of columns. If the first line has two of them between semicolons or tabs, the file is refused.
        strict: Whether a quote in a wrong place is refused.

    Raises:
        NotCsvError: the text is not CSV, or has another separator than commas.

    >>> list(csv_lines(["a,b\\n", "\\n", '1,"2,5"\\n']))
    [(1, ['a', 'b']), (2, []), (3, ['1', '2,5'])]
    """
    reader = csv.reader(_with_commas(lines, known), strict=strict)
    try:
        for fields in reader:
            yield reader.line_num, fields
    except csv.Error as error:
        raise NotCsvError(reader.line_num, f"not CSV ({error})") from error


def _with_commas(lines: Iterable[str], known: Collection[str]) -> Iterator[str]:
    """The lines. The first line that is not blank must not have another separator than commas."""
    first = bool(known)
    for number, line in enumerate(lines, start=1):
        if first and line.strip():
            first = False
            if (separator := _other_separator(line, known)) is not None:
                raise NotCsvError(
                    number,
                    f"expected commas between the columns, got {separator}: save the table again with commas, and with "
                    "points in its numbers (a spreadsheet program saves as the country settings say)",
                )
        yield line


def _other_separator(header: str, known: Collection[str]) -> str | None:
    for sign, name in _SIGNS.items():
        columns = {column_name(field.strip().strip('"')) for field in header.split(sign)}
        # Excel may write the separator into a line above the header.
        if len(columns.intersection(known)) > 1 or header.strip().strip('"').lower() == f"sep={sign}":
            return name
    return None
