"""prepare.json: how the manifests beside it were made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facepad.datasets.splits import class_balance
from facepad.errors import OutputExistsError
from facepad.files.disk import write_text
from facepad.types import Sample

__all__ = ["copy_origin", "origin_of", "read_record", "write_record"]

_RECORD = "prepare.json"


def origin_of(manifest: Path) -> dict[str, Any]:
    """How a manifest was made, from the record that preparing left beside it (see `PrepareSummary.to_dict`).

    Empty without such a record; a foreign file of its name is none.
    """
    try:
        runs = read_record(manifest.parent)
    except OutputExistsError:
        return {}
    return next((run for run in runs if manifest.name in run["manifests"]), {})


def copy_origin(source: Path, target: Path, text: str, samples: Sequence[Sample]) -> None:
    """Write beside a manifest to be how the manifest that it is made of was made; nothing where that is not known.

    Args:
        source: The manifest that there is.
        target: The one to be, in a folder without a record of its own.
        text: Its content.
        samples: The same.

    Raises:
        RunError: the disk is full.
    """
    if origin := origin_of(source):
        about = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "counts": class_balance(samples)}
        content = json.dumps({"runs": [origin | {"manifests": {target.name: about}}]}, indent=2, ensure_ascii=False)
        write_text(target.parent / _RECORD, content + "\n")


def read_record(out: Path) -> list[dict[str, Any]]:
    """The runs that prepare.json already tells of; none when there is no such file."""
    path = out / _RECORD
    if not path.exists():
        return []
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        if all(isinstance(run["manifests"], dict) and run["detector"] for run in runs):
            return list(runs)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise OutputExistsError(f"{path} is not a record of facepad's; remove it or choose another output folder")


def write_record(out: Path, runs: list[dict[str, Any]], new: dict[str, Any]) -> None:
    """Add a run (`PrepareSummary.to_dict`) to those that prepare.json tells of.

    Raises:
        RunError: the disk is full.
    """
    # A run whose manifests were removed and made anew has nothing left to tell.
    kept = [run for run in runs if not run["manifests"].keys() & new["manifests"].keys()]
    write_text(out / _RECORD, json.dumps({"runs": [*kept, new]}, indent=2, ensure_ascii=False) + "\n")
