"""The files of a run folder that say where its network came from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from facepad.errors import ModelError

__all__ = ["ENVIRONMENT_FILE", "RECIPE_FILE", "SAMPLES_FILE", "installed_versions", "read_run_file"]

RECIPE_FILE = "recipe.json"
ENVIRONMENT_FILE = "environment.json"
SAMPLES_FILE = "samples.json"


def read_run_file(run: Path, name: str) -> Any:
    """A JSON file of a run folder.

    Raises:
        ModelError: it is missing or broken; the run is not finished, or not whole.
    """
    try:
        return json.loads((run / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{run} is not a whole run folder: {name} cannot be read") from error


def installed_versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Package to version; None where it is not installed."""
    return {name: _installed(name) for name in packages}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
