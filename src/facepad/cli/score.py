"""facepad score: bulk scoring to Parquet."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facepad.cli.app import (
    DetectorOption,
    ExitCode,
    FacesOption,
    Jobs,
    ModelOption,
    QualityOption,
    ThresholdOption,
    app,
    print_json,
    say,
    say_terms,
)

if TYPE_CHECKING:
    from facepad.scale.output import Output
    from facepad.scale.progress import Progress

_MOST_FAILURES = 20  # Maximum number of lines about failures, one line per kind.
LINE_SECONDS = 30.0  # Seconds between two lines of progress if stderr is not a terminal.


class EngineChoice(StrEnum):
    """The executor: processes of this machine, or a Ray cluster."""

    LOCAL = "local"
    RAY = "ray"


@app.command(epilog="Example: facepad score s3://bucket/enrolments/ scores/ --engine ray --address auto")
def score(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Folder, pattern, manifest.csv, listing (.txt), .parquet, .tar; local, s3://, gs:// or http(s)://.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            help="New or empty folder, or the folder of an unfinished run of the same command.", show_default=False
        ),
    ],
    engine: Annotated[EngineChoice, typer.Option(help="Processes of this machine, or a Ray cluster.")] = (
        EngineChoice.LOCAL
    ),
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster: auto, ray://host:port or host:port; default: a cluster on this machine."),
    ] = None,
    model: ModelOption = None,
    jobs: Jobs = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames of each video.")] = 20,
    detector: DetectorOption = None,
    quality: QualityOption = "",
    faces: FacesOption = "largest",
    threshold: ThresholdOption = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per task of a process.")] = 32,
    column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Parquet column of the images; default: the only binary column.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON document on stdout.")] = False,
) -> None:
    """Score any number of images and videos to Parquet. A second run scores only the missing inputs."""
    from facepad.faces.quality import Quality
    from facepad.predict.predictor import load
    from facepad.scale import BulkSettings, require_source, score_source

    limits = Quality.parse(quality)
    require_source(source, column)
    predictor = load(model, detector=detector, quality=limits, faces=faces, threads=1, threshold=threshold)
    say_terms(predictor.bundle)
    if address:
        say("Ray shows actors, nodes and their memory on its dashboard, usually at port 8265 of the head node")
    settings = BulkSettings(engine.value, address, frames, jobs, batch_size, column)
    with _watching(source, column) as watch:
        summary = score_source(source, out, predictor, settings, watch=watch)
    _tell(summary, out)
    if as_json:
        print_json(summary)
    raise typer.Exit(_exit_code(summary))


def _exit_code(summary: dict[str, Any]) -> int:
    """The exit code: 130 after Ctrl-C; 3 if an input could not be read or decided; else 0."""
    if summary["interrupted"]:
        return ExitCode.CTRL_C
    return ExitCode.UNDECIDED if summary["decisions"]["undecided"] or summary["counts"]["unreached"] else 0


def _tell(summary: dict[str, Any], out: Path) -> None:
    """Print a summary as text on stderr."""
    from facepad.files.endings import NotRead

    run = summary["this_run"]
    for kind, count in list(run["failures"].items())[:_MOST_FAILURES]:
        say(f"{count} x {kind}")
    for one in run["unreached"][:_MOST_FAILURES]:
        say(f"not reached: {one['key']}: {one['reason']}")
    if run["not_read"]:
        say(str(NotRead(Counter(run["not_read"]))))
    counts = ", ".join(f"{count} {name}" for name, count in summary["counts"].items() if count)
    more = f", {run['already_there']} existed already" if run["already_there"] else ""
    say(f"scored {run['scored']} in {run['seconds']:.1f} s ({run['inputs_per_second']:.1f}/s){more}; total: {counts}")
    if not summary["complete"]:
        say("not complete: run the same command again to score the missing inputs")
    say(f"written: {out}")


@contextmanager
def _watching(source: str, column: str | None) -> Iterator[Callable[[Progress, Output], None]]:
    """A function that shows the progress: a bar on a terminal; otherwise a line every half minute."""
    from facepad.runtime.progress import progress_bar

    total = _Total(source, column)
    if not sys.stderr.isatty():
        yield _Lines(total)
        return
    with progress_bar("scoring", None, shown=True) as advance:
        shown = 0

        def show(progress: Progress, output: Output) -> None:
            nonlocal shown
            done = progress.done + progress.missed + output.skipped
            advance(done - shown, total=total.value)
            shown = done

        yield show


class _Total:
    """The number of inputs, counted by a thread; None until it is known, and for remote sources."""

    def __init__(self, source: str, column: str | None) -> None:
        self.value: int | None = None
        threading.Thread(target=self._count, args=(source, column), daemon=True).start()

    def _count(self, source: str, column: str | None) -> None:
        from facepad.errors import FacepadError
        from facepad.scale.sources import open_source

        try:
            opened = open_source(source, column=column)
            if not opened.remote:
                self.value = sum(1 for _ in opened.list_items())
        except (FacepadError, ImportError):
            return  # The scoring itself raises and reports the same error.


class _Lines:
    """A function that prints a line of progress every half minute, for logs."""

    def __init__(self, total: _Total) -> None:
        self._total, self._last = total, time.monotonic()

    def __call__(self, progress: Progress, output: Output) -> None:
        if time.monotonic() - self._last < LINE_SECONDS:
            return
        self._last = time.monotonic()
        rate, known, there = progress.rate(), self._total.value, progress.done + progress.missed + output.skipped
        left = "" if known is None or not rate else f" of {known}, {(known - there) / rate:.0f} s left"
        say(f"scoring: {there}{left}, {rate:.1f}/s")
