"""Checks of arguments. A wrong argument raises one line that names the argument."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real

from facepad.errors import InputError, shown, unknown_choice

__all__ = ["is_number", "require_choice", "require_count", "require_instance", "require_positive"]


def is_number(value: object) -> bool:
    """Whether a value is a finite real number in the range of floats. True and False are not numbers here.

    >>> [is_number(value) for value in (1, 0.5, float("nan"), True, "1")]
    [True, True, False, False, False]
    """
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # A whole number beyond the range of floats.
        return False


def require_choice(what: str, value: object, choices: Collection[str]) -> None:
    """Refuse a name that is not a choice, and everything that is not a name.

    Raises:
        InputError: ``value`` is not one of the choices. The message lists the choices.

    >>> require_choice("policy", None, ["all", "mean"])
    Traceback (most recent call last):
    facepad.errors.InputError: unknown policy None; choices: all, mean
    """
    if not isinstance(value, str) or value not in choices:
        raise InputError(unknown_choice(what, value, choices))


def require_count(name: str, value: object) -> None:
    """Refuse everything but whole numbers of at least 1.

    Raises:
        InputError: ``value`` is not a whole number, or is below 1.

    >>> require_count("window", 5.5)
    Traceback (most recent call last):
    facepad.errors.InputError: window must be a whole number of at least 1, got 5.5
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise InputError(f"{name} must be a whole number of at least 1, got {shown(value)}")
    if value < 1:
        raise InputError(f"{name} must be at least 1, got {value}")


def require_positive(name: str, number: int | None) -> None:
    """Refuse a number (such as a number of processes) below 1. None, the usual default, is accepted.

    Raises:
        InputError: ``number`` is below 1, or is not a whole number.

    >>> require_positive("jobs", 0)
    Traceback (most recent call last):
    facepad.errors.InputError: jobs must be at least 1, got 0
    """
    if number is not None:
        require_count(name, number)


def require_instance(name: str, value: object, kinds: type | tuple[type, ...], expected: str) -> None:
    """Refuse a value of another type.

    Args:
        name: The name of the argument.
        value: The argument.
        kinds: The types to accept.
        expected: The words for these types in the message.

    Raises:
        InputError: ``value`` has another type.

    >>> require_instance("quality", 5, str, "a text")
    Traceback (most recent call last):
    facepad.errors.InputError: quality: expected a text, got 5
    """
    if not isinstance(value, kinds):
        raise InputError(f"{name}: expected {expected}, got {shown(value)}")
