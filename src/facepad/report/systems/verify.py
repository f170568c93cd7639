"""Verification of a report: it is made again from its inputs, and compared with its files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from facepad.errors import InputError, bounded_line, reason
from facepad.files.disk import read_json, sha256_file
from facepad.report.systems.inputs import INPUTS_FILE, VERSION, Inputs
from facepad.report.systems.measure import measure_systems
from facepad.report.systems.write import JSON_FILE, report_files

__all__ = ["verify_report"]

_SHOWN = 10  # changed numbers in a message
_TEXTS = ("notes", "source")  # Texts may change with the version; they hold no measure.


def verify_report(folder: Path) -> tuple[list[str], list[str]]:
    """Make a report again from its inputs, and compare it with the files in its folder.

    Numbers are equal if they differ by less than a part in 10^9, because another processor may round differently.

    Returns:
        The differences, one line each, and notes that are not differences: another version of facepad.

    Raises:
        InputError: the folder holds no report, or its manifest is damaged.
    """
    inputs = Inputs.read(folder)
    changed = [*_changed_inputs(inputs, folder), *_unlisted_outputs(inputs), *_changed_outputs(inputs, folder)]
    missing = [each.path for each in inputs.files if not (folder / each.path).is_file()]
    notes = []
    if inputs.facepad != VERSION:
        notes.append(bounded_line(f"made by facepad {inputs.facepad}; this is facepad {VERSION}"))
    if missing:
        notes.append("the numbers were not computed again, because an input is missing")
    else:
        changed += _changed_numbers(inputs, folder)
    return [bounded_line(line) for line in changed], notes  # the names and values of a stranger may be any text


def _changed_inputs(inputs: Inputs, folder: Path) -> Iterator[str]:
    for each in inputs.files:
        yield from _changed_file(folder / each.path, each.sha256, f"input {each.path}")


def _unlisted_outputs(inputs: Inputs) -> Iterator[str]:
    for name in report_files(len({each.system for each in inputs.files}), inputs.options):
        if name not in inputs.outputs:
            yield f"{name} is missing in the outputs of {INPUTS_FILE}, so a change of the file could not be seen"


def _changed_outputs(inputs: Inputs, folder: Path) -> Iterator[str]:
    for name, digest in inputs.outputs.items():
        yield from _changed_file(folder / name, digest, name)


def _changed_file(path: Path, digest: str, name: str) -> Iterator[str]:
    try:
        if sha256_file(path) != digest:
            yield f"{name} has changed: its SHA-256 is not {digest}"
    except OSError as error:
        yield f"{name} cannot be read: {reason(error)}"
    except ValueError:  # the manifest of a stranger may name a file with a NUL
        yield f"{name} cannot be read: it is not the name of a file"


def _changed_numbers(inputs: Inputs, folder: Path) -> Iterator[str]:
    try:
        stored = read_json(folder / JSON_FILE)
        content = measure_systems(inputs.systems(folder), inputs.options)
    except (OSError, ValueError, KeyError) as error:
        yield f"the report cannot be compared: {error}"
        return
    except InputError as error:
        yield f"the report cannot be made again: {error}"
        return
    found = [
        *_differences(inputs.thresholds, content.thresholds, "thresholds"),
        *_differences(stored, content.to_dict(), ""),
    ]
    yield from islice(found, _SHOWN)
    if len(found) > _SHOWN:
        yield f"and {len(found) - _SHOWN} more numbers have changed"


def _differences(stored: Any, now: Any, place: str) -> Iterator[str]:
    """The values that differ, with their place, such as ``systems.0.metrics.eer.value``."""
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*stored, *now]):
            if key not in _TEXTS:
                yield from _differences(stored.get(key), now.get(key), f"{place}.{key}".lstrip("."))
    elif _is_list(stored) and _is_list(now) and len(stored) == len(now):
        for index, (one, other) in enumerate(zip(stored, now, strict=True)):
            yield from _differences(one, other, f"{place}.{index}")
    elif not _equal(stored, now):
        yield f"{place} is {now!r}, but the report says {stored!r}"


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _equal(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return one == other or (_is_list(one) and _is_list(other) and list(one) == list(other))  # type: ignore[call-overload]
