"""The versions of installed packages, for the records of runs and model files."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

__all__ = ["installed_versions"]


def installed_versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Package -> version; None for a package that is not installed."""
    return {name: _version(name) for name in packages}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
