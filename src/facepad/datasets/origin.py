"""The file prepare.json, which describes how the manifests in the same folder were made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facepad.datasets.splits import class_balance
from facepad.errors import OutputExistsError, reason
from facepad.files.disk import read_json, write_json
from facepad.files.opening import MaxBytes
from facepad.types import Sample

__all__ = ["add_run", "copy_origin", "origin_of", "read_runs"]

_FILE = "prepare.json"


def origin_of(manifest: Path) -> dict[str, Any]:
    """The run of ``facepad data prepare`` that made a manifest, as `PrepareSummary.to_dict` describes it.

    Empty if the manifest's folder has no prepare.json, or the file does not describe this manifest.
    """
    try:
        runs = read_runs(manifest.parent)
    except OutputExistsError:
        return {}
    return next((run for run in runs if manifest.name in run["manifests"]), {})


def copy_origin(source: Path, target: Path, text: str, samples: Sequence[Sample]) -> None:
    """Copy the run that made a manifest to the prepare.json of a manifest derived from it.

    Nothing is written if the run is not known.

    Args:
        source: The original manifest.
        target: The derived manifest, in a folder without a prepare.json.
        text: Content of the derived manifest.
        samples: Samples of the derived manifest.

    Raises:
        RunError: the disk is full.
    """
    if origin := origin_of(source):
        about = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "counts": class_balance(samples)}
        add_run(target.parent, origin | {"manifests": {target.name: about}})


def read_runs(out: Path) -> list[dict[str, Any]]:
    """The runs that the prepare.json of a folder describes; an empty list if the file does not exist.

    Raises:
        OutputExistsError: the file cannot be read, or was not written by facepad.
    """
    path = out / _FILE
    if not path.exists():
        return []
    try:
        runs = read_json(path, MaxBytes.TABLE)["runs"]  # it names each file that was left out
        if all(isinstance(run["manifests"], dict) and run["detector"] for run in runs):
            return list(runs)
    except OSError as error:
        raise OutputExistsError(f"{path} cannot be read ({reason(error)}); choose another output folder") from error
    except (ValueError, KeyError, TypeError):
        pass
    raise OutputExistsError(f"{path} is not a list of facepad's runs; remove it or choose another output folder")


def add_run(out: Path, run: dict[str, Any]) -> None:
    """Add a run (`PrepareSummary.to_dict`) to prepare.json. The caller holds the lock of the folder.

    Raises:
        OutputExistsError: prepare.json is not a list of runs.
        RunError: the disk is full.
    """
    # The new run replaces earlier runs that describe the same manifests.
    kept = [other for other in read_runs(out) if not other["manifests"].keys() & run["manifests"].keys()]
    write_json(out / _FILE, {"runs": [*kept, run]})
