"""facepad predict: decide on images, videos and cameras."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facepad.cli.app import (
    DetectorOption,
    ExitCode,
    FacesOption,
    ModelOption,
    QualityOption,
    ThresholdOption,
    app,
    print_json,
    say,
    say_terms,
    show,
)
from facepad.errors import InputError, MediaError, number_of
from facepad.runtime.terminal import one_line
from facepad.types import FacePolicy, Policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from facepad.predict.annotate import Annotations, Why
    from facepad.predict.run import Outcome, Results
    from facepad.predict.sources import Source
    from facepad.predict.stream import StreamState
    from facepad.types import Decision, FrameDecision, VideoDecision

_WIDEST = 60  # Maximum width of the column of names, in characters.


class FailOn(StrEnum):
    """The decision that makes the command fail."""

    ATTACK = "attack"


@app.command(epilog="Example: facepad predict photos/ --json > decisions.json")
def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Images, videos, folders, patterns, - (stdin), or camera:0."),
    ],
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    annotate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="New (or empty) folder for copies that show the decisions.")
    ] = None,
    why: Annotated[
        bool,
        typer.Option(
            "--why", help="Colour the copies of --annotate: blue places speak for live, red ones for an attack."
        ),
    ] = False,
    fail_on: Annotated[FailOn | None, typer.Option(help="Exit with code 4 if a decision has this value.")] = None,
    detector: DetectorOption = None,
    quality: QualityOption = "",
    threshold: ThresholdOption = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Frames of each video (default: 20) or the camera (until Ctrl-C).")
    ] = None,
    faces: FacesOption = "largest",
    policy: Annotated[
        Policy, typer.Option(help="How frames make one decision; all: each part of a video must be live.")
    ] = "all",
) -> None:
    """Decide for each face: live, attack, or undecided with the reasons."""
    from facepad.faces.quality import Quality
    from facepad.files.endings import NotRead
    from facepad.predict.predictor import load
    from facepad.predict.run import Results, predict_sources
    from facepad.predict.sources import find_sources, refuse_missing

    if why and annotate is None:
        raise InputError("--why colours the copies of --annotate, and needs --annotate DIR")
    limits, not_read = Quality.parse(quality), NotRead()
    sources = find_sources(inputs, sys.stdin.buffer, not_read)
    if not as_json:  # the document of --json lists missing files beside the model
        refuse_missing(sources)
    predictor = load(model, detector=detector, quality=limits, faces=faces, threshold=threshold)
    results, complete = Results(frames=as_json, faces=faces), True
    width = min(_WIDEST, max(len(source.name) for source in sources))
    with _copies(annotate, predictor.pipeline.why if why else None) as copies:
        say_terms(predictor.bundle)
        if not_read:
            say(str(not_read))
        try:
            outcomes = predict_sources(predictor, sources, frames=frames, policy=policy)
            for outcome in _with_bar(outcomes, sources, as_json):
                results.add(outcome)
                _show(outcome, as_json, width, faces)
                _copy(outcome, copies)
        except KeyboardInterrupt:
            complete = False
    if as_json:
        print_json(results.document(predictor.bundle, complete=complete).model_dump(mode="json"))
    raise typer.Exit(_exit_code(results, complete, fail_on))


def _copies(folder: Path | None, why: Why | None) -> AbstractContextManager[Annotations | None]:
    if folder is None:
        return nullcontext()
    from facepad.predict.annotate import Annotations  # imported late: most calls need no copies

    return Annotations(folder, why)


def _copy(outcome: Outcome, copies: Annotations | None) -> None:
    """Write an annotated copy, if requested. A source that cannot be read again is reported, and the loop continues."""
    if copies is None or isinstance(outcome.result, MediaError):
        return
    try:
        copies.add(outcome.source, outcome.result, outcome.image)
    except MediaError as error:
        say(f"no copy: {error}")


def _exit_code(results: Results, complete: bool, fail_on: FailOn | None) -> int:
    """The exit code of the first case that applies: Ctrl-C, --fail-on, all unreadable, some undecided, success.

    Every face counts for --fail-on. The deciding face of an image counts for the other codes: a live face behind an
    undecided face is not a success.
    """
    from facepad.predict.run import decisions_of
    from facepad.types import Label

    if not complete:
        return ExitCode.CTRL_C
    found = [decision for _, one in results.decided() for decision in decisions_of(one)]
    if fail_on and any(decision.label is Label.ATTACK for decision in found):
        return ExitCode.MATCHED
    if not found:
        return ExitCode.WRONG_INPUT
    undecided = any(decision.label is None for decision in results.verdicts())
    return ExitCode.UNDECIDED if results.failures or undecided else 0


def _with_bar(outcomes: Iterator[Outcome], sources: Sequence[Source], as_json: bool) -> Iterator[Outcome]:
    """The outcomes, with a progress bar if the results are not printed on this terminal."""
    from facepad.runtime.progress import progress_bar

    lines_seen = sys.stdout.isatty() and not as_json
    with progress_bar(
        "predicting", len(sources), shown=len(sources) > 1 and sys.stderr.isatty() and not lines_seen
    ) as advance:
        for outcome in outcomes:
            yield outcome
            advance()


def _show(outcome: Outcome, as_json: bool, width: int, faces: FacePolicy) -> None:
    """Print an outcome as text: an unreadable source on stderr, and without --json the decisions on stdout."""
    from facepad.types import FrameDecision, VideoDecision

    name, found = one_line(outcome.source.name), outcome.result
    if isinstance(found, MediaError):
        say(f"unreadable: {name}: {found.reason}")
        return
    if isinstance(found, VideoDecision) and found.note:
        say(f"{name}: {found.note}")
    if as_json:
        return
    if isinstance(found, VideoDecision):
        lines = [_line(name, width, found.decision, _video_remark(found))]
    elif isinstance(found, FrameDecision):
        assert outcome.state is not None  # A camera's outcome has a frame and a state.
        lines = [_line(name, width, outcome.state.decision, _camera_remark(found, outcome.state))]
    else:
        remarks = _face_remarks(found, faces)
        lines = [_line(name, width, decision, remark) for decision, remark in zip(found, remarks, strict=True)]
    show("\n".join(lines))


def _face_remarks(found: Sequence[Decision], faces: FacePolicy) -> list[str]:
    """The number of each face of an image with several, and which of them decided on the image."""
    from facepad.predict.policy import deciding_face

    if len(found) == 1:
        return [""]
    decided = deciding_face(found, faces)
    return [f"face {i + 1} of {len(found)}{', decides' if i == decided else ''}" for i in range(len(found))]


def _video_remark(video: VideoDecision) -> str:
    """The policy and the number of frames, and the frames that decided, if these were not all frames."""
    remark, decided_by = f"{video.policy} of {number_of(len(video.frames), 'frame')}", video.decision.decided_by
    assert decided_by is not None  # Every decision on a video names the deciding frames.
    first, last = decided_by.frames
    if (first, last) == (video.frames[0].index, video.frames[-1].index):
        return remark
    return f"{remark}, decided by frames {first} to {last}"


def _camera_remark(frame: FrameDecision, state: StreamState) -> str:
    """The time of the frame, and what the stream waits for, if the decision does not say it."""
    waits = () if state.decision.reasons else state.reasons
    more = f"{state.missing} more frames" if state.missing else ""
    return ", ".join(filter(None, (f"{frame.seconds:.1f} s", more, *waits)))


def _line(name: str, width: int, decision: Decision, remark: str) -> str:
    """Path, verdict, score, threshold, reasons and remark in columns.

    >>> from facepad.types import Decision
    >>> _line("a.jpg", 8, Decision(None, 0.25, threshold=0.5), "face 1 of 2")
    'a.jpg     attack     score 0.2500  threshold 0.5000  face 1 of 2'
    """
    score, threshold = ("-" if x is None else f"{x:.4f}" for x in (decision.score, decision.threshold))
    notes = ", ".join(filter(None, (*decision.reasons, remark)))
    return f"{name:<{width}}  {decision.verdict:<9}  score {score:<6}  threshold {threshold:<6}  {notes}".rstrip()
