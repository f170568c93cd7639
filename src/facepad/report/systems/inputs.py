"""The manifest of a report (inputs.json): the options, and the hashes of the files that were read and written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from facepad.errors import InputError, reason
from facepad.files.disk import printable, read_json, sha256_file
from facepad.report.systems.content import ReportOptions, SystemFiles, SystemsContent

__all__ = ["INPUTS_FILE", "VERSION", "InputFile", "Inputs", "input_files"]

INPUTS_FILE = "inputs.json"
"""File name of the manifest."""

VERSION = version("facepad")
"""The installed version of facepad."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that a report was made of.

    Attributes:
        system: Name of the system.
        role: ``scores``, ``dev`` or ``match``.
        path: Path of the file, relative to the folder of the report if possible.
        sha256: SHA-256 of the file.
        size: Length of the file in bytes.
    """

    system: str
    role: str
    path: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The name of the file without its folders."""
        return Path(self.path).name


def input_files(content: SystemsContent, folder: Path) -> list[InputFile]:
    """Hash the files that a report is made of. The report is written into ``folder``."""
    return [
        InputFile(system.name, role, _relative(path, folder), sha256_file(path), path.stat().st_size)
        for system in content.systems
        for role, path in (
            ("scores", system.files.scores),
            ("dev", system.files.dev),
            ("match", system.files.match),
        )
        if path is not None
    ]


def _relative(path: Path, folder: Path) -> str:
    try:
        return printable(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix())
    except ValueError:  # another drive on Windows
        return printable(path.resolve().as_posix())


@dataclass(frozen=True, slots=True)
class Inputs:
    """The content of inputs.json.

    Attributes:
        facepad: Version of facepad that made the report.
        made: Day and time at which the report was made (UTC, ISO 8601).
        options: The options of the report.
        files: The files that the report was made of.
        thresholds: Name of each system -> threshold.
        outputs: Name of each file of the report -> SHA-256.
    """

    facepad: str
    made: str
    options: ReportOptions
    files: Sequence[InputFile]
    thresholds: Mapping[str, float]
    outputs: Mapping[str, str]

    @classmethod
    def now(cls, content: SystemsContent, files: Sequence[InputFile], outputs: Mapping[str, str]) -> Self:
        """Make the manifest of a report that was just written."""
        made = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(VERSION, made, content.options, files, content.thresholds, outputs)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of inputs.json."""
        return {
            "format": 1,
            "facepad": self.facepad,
            "made": self.made,
            "options": self.options.to_dict(),
            "inputs": [
                {"system": each.system, "role": each.role, "path": each.path, "sha256": each.sha256, "bytes": each.size}
                for each in self.files
            ],
            "thresholds": dict(self.thresholds),
            "outputs": dict(self.outputs),
        }

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest of a report.

        Raises:
            InputError: the file is missing, cannot be read, or is not such a manifest.
        """
        path = folder / INPUTS_FILE
        try:
            values = read_json(path)
            files = [
                InputFile(str(x["system"]), str(x["role"]), str(x["path"]), str(x["sha256"]), int(x["bytes"]))
                for x in values["inputs"]
            ]
            options = ReportOptions.from_dict(values["options"])
            outputs = {str(name): str(digest) for name, digest in values["outputs"].items()}
            return cls(str(values["facepad"]), str(values["made"]), options, files, dict(values["thresholds"]), outputs)
        except OSError as error:
            raise InputError(f"{folder} is not the folder of a report: cannot read {path}: {reason(error)}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is not the manifest of a report ({error})") from error

    def systems(self, folder: Path) -> list[SystemFiles]:
        """The files of each system, in the order of the report."""
        paths: dict[str, dict[str, Path]] = {}
        for each in self.files:
            paths.setdefault(each.system, {})[each.role] = folder / each.path
        return [
            SystemFiles(name, found["scores"], found.get("dev"), found.get("match")) for name, found in paths.items()
        ]
