"""Settings in TOML files: reading them, the base of their sections, and a problem with one in a line."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from facepad.errors import InputError, unknown_choice

__all__ = ["Section", "explain", "read_toml"]


class Section(BaseModel):
    """A frozen section of a file; it refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        InputError: it cannot be read, or is not TOML; the message does not name the file, which the caller does.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot be read: {error}") from error


def explain(error: ValidationError, file: type[BaseModel]) -> str:
    """The first problem with a file's content, in one line, with the choices where there are any.

    Args:
        error: pydantic's error.
        file: The model of the whole file.

    >>> class Net(Section):
    ...     size: int = 80
    >>> try:
    ...     Net.model_validate({"sise": 80})
    ... except ValidationError as error:
    ...     explain(error, Net)
    "unknown key 'sise' (did you mean 'size'?); choices: size"
    """
    # pydantic reports every branch of a union. Prefer another branch to that of a fixed word (a number to "frame"), and
    # an unknown key to the missing key that it may misspell.
    problem = min(
        error.errors(),
        key=lambda entry: (
            bool(entry["loc"]) and str(entry["loc"][-1]).startswith("literal["),
            entry["type"] != "extra_forbidden",
        ),
    )
    keys, section = _keys(problem["loc"], file)
    key = ".".join(keys)
    if problem["type"] == "extra_forbidden":
        unknown, prefix = str(problem["loc"][-1]), "".join(f"{name}." for name in keys)
        return unknown_choice("key", prefix + unknown, [prefix + name for name in section.model_fields])
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "value_error":
        return ": ".join(filter(None, (key, str(problem["ctx"]["error"]))))
    return f"{key}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}"


def _keys(location: Sequence[int | str], file: type[BaseModel]) -> tuple[list[str], type[BaseModel]]:
    """The keys and positions that lead to a problem, without the names of a union's branches; and the last section."""
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
    """The section that a field holds, if it holds one (alone, in a list, or as one of several types)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)
