"""The root of the command line, and the shared options, exit codes and output functions of the commands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facepad import __version__
from facepad.errors import InputError
from facepad.files.disk import writing
from facepad.runtime.terminal import one_line, safe_text
from facepad.types import Aggregation, FacePolicy, Label

if TYPE_CHECKING:
    from facepad.metrics import Finding, Requirement
    from facepad.modelfile.bundle import Bundle

__all__ = [
    "CRITERIA",
    "OUTPUT",
    "ComparedRequireOption",
    "CriterionOption",
    "DetectorOption",
    "Device",
    "ExitCode",
    "FacesOption",
    "FuseOption",
    "HigherIsOption",
    "Jobs",
    "Level",
    "LevelOption",
    "Manifest",
    "MatchThresholdOption",
    "ModelArgument",
    "ModelOption",
    "Out",
    "ProfileOption",
    "QualityOption",
    "RequireOption",
    "ThresholdOption",
    "aggregation_of",
    "app",
    "columns_of",
    "data_app",
    "print_json",
    "report_written",
    "requirement_code",
    "requirements_of",
    "say",
    "say_terms",
    "show",
]

OUTPUT = Path("standard output")
"""The name of stdout in messages."""

_HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    help="Face presentation attack detection: prepare data, train, evaluate, report.",
    no_args_is_help=True,
    context_settings=_HELP,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Make, prepare and check data sets.", no_args_is_help=True, context_settings=_HELP)
app.add_typer(data_app, name="data")

Manifest = Annotated[Path, typer.Argument(help="manifest.csv", show_default=False)]
ModelArgument = Annotated[
    str, typer.Argument(help="Run folder, model file, or name of a model (facepad list models).", show_default=False)
]
ModelOption = Annotated[
    str | None, typer.Option(help="Name of a model, model file or run folder; default: public-trio.")
]
ThresholdOption = Annotated[
    str | None,
    typer.Option(help="Threshold in [0, 1], or a preset: strict, balanced or lenient; default: the model's threshold."),
]
DetectorOption = Annotated[str | None, typer.Option(help="Face detector; default: the detector of the model.")]
FacesOption = Annotated[
    FacePolicy, typer.Option(help="Faces that count: the largest, all (each must be live), or exactly one.")
]
QualityOption = Annotated[
    str,
    typer.Option(
        metavar="LIMIT=VALUE,...",
        help="Limits of quality, such as min_face=64,max_roll=none: min_face, min_luminance, max_luminance, "
        "min_sharpness, max_outside, max_roll, max_yaw.",
    ),
]
Out = Annotated[Path, typer.Argument(help="New (or empty) output folder.", show_default=False)]
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes; default: one per core.")]
CRITERIA = "eer, min-hter, bpcer@apcer=0.05 (or bpcer20), apcer@bpcer=0.05, or a number."
"""The criteria of a threshold, for the help."""

CriterionOption = Annotated[str | None, typer.Option(help=f"Threshold criterion on dev: {CRITERIA}")]


class ExitCode(IntEnum):
    """The exit codes of commands that did not succeed. As in a shell, the code of a signal is 128 + its number."""

    FAILED = 1
    WRONG_INPUT = 2
    UNDECIDED = 3
    MATCHED = 4
    REQUIREMENT = 5
    CTRL_C = 130
    READER_GONE = 141


class Level(StrEnum):
    """The unit of the metrics: single images, or whole videos."""

    FRAME = "frame"
    VIDEO = "video"


class Device(StrEnum):
    """The device for training."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


_REQUIRE = "Hold a rate against a limit: apcer=0.07 (each PAI species alone), bpcer=0.1. Repeatable."
RequireOption = Annotated[
    list[str] | None, typer.Option("--require", metavar="RATE=LIMIT", help=_REQUIRE, show_default=False)
]
ComparedRequireOption = Annotated[
    list[str] | None,
    typer.Option(
        "--require",
        metavar="RATE=LIMIT",
        help=f"{_REQUIRE} With a face comparison also iapar=0.07.",
        show_default=False,
    ),
]
ProfileOption = Annotated[
    list[str] | None,
    typer.Option(
        "--profile", metavar="NAME", help="Requirements of a published scheme (facepad list profiles). Repeatable."
    ),
]
ByOption = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN[,COLUMN]",
        help="Also rates of each group that this further column makes (two columns: each combination), and their gaps.",
    ),
]
MatchThresholdOption = Annotated[
    float | None, typer.Option(help="Lowest accepted comparison score; without it, match holds decisions.")
]
LevelOption = Annotated[Level, typer.Option(help="The unit of the metrics: single images, or whole videos.")]
HigherIsOption = Annotated[
    Label,
    typer.Option(
        help="Meaning of high scores. With attack, every score is negated, and thresholds are of negated scores."
    ),
]
FuseOption = Annotated[Aggregation | None, typer.Option(help="Aggregation of a video's frame scores; default: mean.")]


def aggregation_of(level: Level, fuse: Aggregation | None) -> Aggregation | None:
    """The aggregation of a video's frame scores; None at frame level."""
    if level is Level.VIDEO:
        return fuse or "mean"
    if fuse:
        raise InputError(f"--fuse {fuse} aggregates the frames of videos, and needs --level video")
    return None


def columns_of(by: str | None) -> tuple[str, ...]:
    """The columns of ``--by``; empty without this option."""
    from facepad.metrics import parse_columns

    return () if by is None else parse_columns(by)


def requirements_of(
    require: list[str] | None, profile: list[str] | None, *, compared: bool = False
) -> tuple[Requirement, ...]:
    """The requirements of ``--require`` and ``--profile``; ``iapar`` only where a comparison may be given."""
    from facepad.metrics import read_requirements

    requirements = read_requirements(require or (), profile or ())
    for each in requirements:
        if each.rate == "iapar" and not compared:
            raise InputError(f"{each} needs the decisions of a comparison: facepad metrics SCORES --match OTHER.csv")
    return requirements


def requirement_code(findings: Sequence[Finding]) -> int:
    """The exit code of a command with these findings."""
    from facepad.metrics import failed

    return ExitCode.REQUIREMENT if failed(findings) else 0


def say(*lines: str) -> None:
    """Print messages of one line each on stderr; stdout is only for results. Control characters become escapes."""
    for line in lines:
        print(one_line(line), file=sys.stderr)


def say_terms(model: Bundle) -> None:
    """Print on stderr the scope of a model, and why its decisions are weak, if they are."""
    from facepad.metrics import NoteKind

    described = model.description
    if described.scope:
        say(described.scope)
    for note in described.threshold.origin.notes if described.threshold else ():
        if note.kind is NoteKind.WEAK:
            say(f"note: {note}")


def report_written(*files: Path, notes: Iterable[str] = (), unreadable: Mapping[str, str] | None = None) -> None:
    """Print notes, the images that could not be read, and the files that were written."""
    for note in notes:
        say(f"note: {note}")
    for image, reason in (unreadable or {}).items():
        say(f"unreadable: {image}: {reason}")
    for path in files:
        say(f"written: {path}")


def show(text: str) -> None:
    """Print a result on stdout, and flush stdout, so that a full disk or a closed pipe raises here.

    Control characters, except line ends, become escapes.

    Raises:
        RunError: stdout cannot be written.
    """
    with writing(OUTPUT):
        print(safe_text(text), flush=True)


def print_json(value: Any) -> None:
    """Print the JSON document of a command with --json on stdout."""
    show(json.dumps(value, indent=2))  # not `json_text`: stdout may not be UTF-8, so the document is ASCII


def _version(asked: bool) -> None:
    if asked:
        show(f"facepad {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    os.environ["FACEPAD_DEBUG"] = "1" if debug else ""
