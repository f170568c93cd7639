"""Settings in TOML files: the reader, the base class of sections, and one-line error messages."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from facepad.errors import InputError, reason, unknown_choice
from facepad.files.opening import MaxBytes, read_bytes

__all__ = ["Section", "explain", "parse_toml", "read_toml"]

_MAX_DEPTH = 30
_TOO_DEEP = "its values are nested too deeply"


class Section(BaseModel):
    """Base class of the sections of a settings file. A section is frozen and refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        InputError: the file cannot be read, or is not TOML. The message does not name the file; the caller adds the
            name.
    """
    try:
        return parse_toml(read_bytes(path, MaxBytes.TEXT).decode())
    except (OSError, ValueError) as error:  # a number of 5,000 digits is a bare ValueError
        raise InputError(f"cannot be read: {reason(error)}") from error


def parse_toml(text: str) -> dict[str, Any]:
    """The content of a text in TOML.

    Raises:
        ValueError: the text is not TOML, or its values are nested more than 30 levels deep.

    >>> parse_toml("a = " + 40 * "[" + 40 * "]")
    Traceback (most recent call last):
    ValueError: its values are nested too deeply
    """
    try:
        values = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    level: list[Any] = [values]
    for _ in range(_MAX_DEPTH):  # dotted keys nest without recursion, but later readers of the values recurse
        below = (value.values() if isinstance(value, dict) else value for value in level)
        level = [value for part in below for value in part if isinstance(value, (dict, list))]
        if not level:
            return values
    raise ValueError(_TOO_DEEP)


def explain(error: ValidationError, file: type[BaseModel]) -> str:
    """The first problem with a file's content, in one line. For an unknown key, the line names the known keys.

    Args:
        error: The error that pydantic raised.
        file: The pydantic model of the whole file.

    >>> class Net(Section):
    ...     size: int = 80
    >>> try:
    ...     Net.model_validate({"sise": 80})
    ... except ValidationError as error:
    ...     explain(error, Net)
    "unknown key 'sise' (did you mean 'size'?); choices: size"
    """
    # pydantic reports a problem for every branch of a union. The branches of literals (such as "frame") come last. An
    # unknown key comes before a missing key, because the unknown key may be the missing key, misspelt.
    problem = min(
        error.errors(),
        key=lambda entry: (
            bool(entry["loc"]) and str(entry["loc"][-1]).startswith("literal["),
            entry["type"] != "extra_forbidden",
        ),
    )
    keys, section = _keys_to_problem(problem["loc"], file)
    key = ".".join(keys)
    if problem["type"] == "extra_forbidden":
        unknown, prefix = str(problem["loc"][-1]), "".join(f"{name}." for name in keys)
        return unknown_choice("key", prefix + unknown, [prefix + name for name in section.model_fields])
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "value_error":
        return ": ".join(filter(None, (key, str(problem["ctx"]["error"]))))
    said = f"{problem['msg'][0].lower()}{problem['msg'][1:]}"
    if problem["type"] != "json_invalid":  # Its input is the whole text.
        said += f", got {problem['input']!r}"
    return ": ".join(filter(None, (key, said)))


def _keys_to_problem(location: Sequence[int | str], file: type[BaseModel]) -> tuple[list[str], type[BaseModel]]:
    """The keys and list indexes that lead to a problem, without the names of union branches, and the last section."""
    keys: list[str] = []
    section, fields = file, file.model_fields
    for part in location:
        if isinstance(part, int):
            keys.append(str(part))
        elif part in fields:
            keys.append(part)
            inner = _section_in(fields[part].annotation)
            section, fields = inner or section, inner.model_fields if inner else {}
    return keys, section


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section class in a field's type (alone, in a list, or in a union); None if the type has no section."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)
