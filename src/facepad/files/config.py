"""Sections of a validated file: what they have in common, and what is wrong with one in a line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from facepad.errors import InputError, unknown_choice

__all__ = ["Section", "explain", "read_toml"]


class Section(BaseModel):
    """A frozen section that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        InputError: it cannot be read, or is no TOML; without the file's name, which the caller knows.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot be read: {error}") from error


def explain(error: ValidationError, file: type[BaseModel]) -> str:
    """The first problem with a file's content, in one line, with the choices where there are any.

    Args:
        error: What pydantic found.
        file: The section that stands for the whole file.

    >>> class Net(Section):
    ...     size: int = 80
    >>> try:
    ...     Net.model_validate({"sise": 80})
    ... except ValidationError as error:
    ...     explain(error, Net)
    "unknown key 'sise' (did you mean 'size'?); choices: size"
    """
    # Of the branches of "frame or a number", what is wrong with the number tells more; so does an unknown key than the
    # missing one that it may have been meant for.
    problem = min(
        error.errors(), key=lambda entry: ("literal['frame']" in entry["loc"], entry["type"] != "extra_forbidden")
    )
    location = [str(part) for part in problem["loc"] if not str(part).startswith(("literal[", "float", "constrained"))]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        return unknown_choice("key", key, _keys_beside(location, file))
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "value_error":
        return ": ".join(filter(None, (key, str(problem["ctx"]["error"]))))
    return f"{key}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}"


def _keys_beside(location: list[str], file: type[BaseModel]) -> list[str]:
    section: Any = file
    for name in location[:-1]:
        if name.isdigit():
            continue
        annotation = section.model_fields[name].annotation
        section = next((part for part in get_args(annotation) if isinstance(part, type)), annotation)
    prefix = "".join(f"{name}." for name in location[:-1])
    return [prefix + name for name in section.model_fields]
