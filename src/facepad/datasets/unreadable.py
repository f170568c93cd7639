"""The limit of unreadable files in a data set. A few are left out and listed; more mean a broken copy."""

from __future__ import annotations

from collections.abc import Mapping

from facepad.errors import DatasetError

__all__ = ["MAX_UNREADABLE", "refuse_mostly_unreadable"]

MAX_UNREADABLE = 0.05
"""Maximum fraction of the files that may be unreadable. Above the maximum, the command stops."""


def refuse_mostly_unreadable(unreadable: Mapping[str, str], total: int, what: str) -> None:
    """Raise an error if too many files cannot be read. Below the limit, the caller leaves the files out.

    Args:
        unreadable: Path -> reason, for each unreadable file.
        total: Number of all files.
        what: Name of the files in the message, in the plural.

    Raises:
        DatasetError: more than 5 % are unreadable.

    Example:
        >>> refuse_mostly_unreadable({"a.png": "a.png: is empty"}, 20, "training images")
        >>> refuse_mostly_unreadable({"a.png": "a.png: is empty"}, 19, "training images")
        Traceback (most recent call last):
        facepad.errors.DatasetError: 1 of 19 training images cannot be read (first: a.png: is empty). The limit is \
5%. The files were moved, the copy is broken, or the boxes are of images of another size: copy the data again, or \
leave these files out
    """
    if len(unreadable) > MAX_UNREADABLE * total:
        raise DatasetError(
            f"{len(unreadable)} of {total} {what} cannot be read (first: {next(iter(unreadable.values()))}). The limit "
            f"is {MAX_UNREADABLE:.0%}. The files were moved, the copy is broken, or the boxes are of images of another "
            "size: copy the data again, or leave these files out"
        )
