"""A stable verdict on the frames of a camera: a stream follows one face, smooths its scores, and holds its verdict."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from facepad.errors import InputError, shown
from facepad.predict.inputs import Channels, ImageInput
from facepad.predict.policy import RUN, deciding_face, run_score
from facepad.predict.predictor import Predictor
from facepad.runtime.arguments import is_number, require_count, require_instance
from facepad.types import Box, DecidedBy, Decision, Label, Reason

__all__ = ["Stream", "StreamSettings", "StreamState"]

_OVERLAP = 0.3  # Least intersection over union of the followed face in two frames.


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The settings of a stream. Frames are counted, not seconds.

    Attributes:
        least: Least number of scored frames for a verdict, and of consecutive live frames for a live verdict.
        window: Number of the last scored frames that decide; at least ``least``.
        lost: Number of consecutive frames without a score after which the stream starts anew.
        margin: Part of the range from the threshold to 1 by which the score must exceed the threshold before a verdict
            becomes live. A live verdict holds down to the threshold.

    Raises:
        InputError: A value is out of its range, or has another type.
    """

    least: int = RUN
    window: int = 3 * RUN
    lost: int = RUN
    margin: float = 0.1

    def __post_init__(self) -> None:
        for name in ("least", "window", "lost"):
            require_count(name, getattr(self, name))
        if self.window < self.least:
            raise InputError(f"window must be at least least ({self.least}), got {self.window}")
        if not is_number(self.margin) or not 0 <= self.margin <= 1:
            raise InputError(f"margin must be a number from 0 to 1, got {shown(self.margin)}")


@dataclass(frozen=True, slots=True)
class StreamState:
    """The state of a stream after a frame.

    Attributes:
        decision: The verdict on the last frames as a decision without a box. Its score is that of the policy ``all``
            (`facepad.predict.policy.decide_frames`); while an attack holds, it is the lowest score of the attack. An
            undecided verdict has the reasons of this frame, and ``too_few_frames``.
        face: The decision on the followed face in this frame. If the face is not there, a decision without a box.
        missing: Least number of scored frames that are still needed for a verdict; 0 if there is a verdict.
    """

    decision: Decision
    face: Decision
    missing: int

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What the stream waits for: a face, a better image, or more frames. Empty if it waits for nothing."""
        return self.decision.reasons or self.face.reasons


@dataclass(frozen=True, slots=True)
class _Scored:
    """A scored frame: index of the frame in the stream, index of the face in the frame, and score."""

    frame: int
    face: int
    score: float


class Stream:
    """Decides on a stream of frames. It needs a bounded amount of memory for any number of frames.

    The stream follows the most prominent face of its first frame. The last scored frames of this face decide by the
    rule for clips (`facepad.predict.policy.decide_frames`) with runs of five frames. A live verdict needs a few live
    frames in a row, and a score above the threshold by a margin or a full window. It ends when the rule finds an
    attack. An attack ends only when a full window has a score above the threshold by the margin. After some frames
    without a score the stream starts anew, with the most prominent face.

    Args:
        predictor: The model. If all faces must be live (``load(faces="all")``), the weakest face of each frame counts.
        settings: The settings; None means the default settings.

    Raises:
        InputError: ``predictor`` is not a predictor, or ``settings`` are not a `StreamSettings`.
    """

    def __init__(self, predictor: Predictor, settings: StreamSettings | None = None) -> None:
        if not hasattr(predictor, "pipeline"):
            raise InputError(f"predictor: expected a predictor, as from facepad.load, got {shown(predictor)}")
        settings = StreamSettings() if settings is None else settings
        require_instance("settings", settings, StreamSettings, "a StreamSettings")
        self._predictor, self._settings = predictor, settings
        self._scored: deque[_Scored] = deque(maxlen=self._settings.window)
        self._verdict: Decision | None = None
        self._box: Box | None = None
        self._frames = self._unscored = 0

    def update(self, frame: ImageInput, *, channels: Channels = "rgb") -> StreamState:
        """Decide on the next frame.

        Args:
            frame: The frame, as in `Predictor.predict`: usually a uint8 RGB array ``(H, W, 3)``.
            channels: The order of an array's channels, as in `Predictor.predict`.

        Raises:
            ImageError: The frame is not an image.
            InputError: The order of the channels is unknown.
            ModelError: The network gives NaN.
        """
        return self.follow(self._predictor.predict(frame, channels=channels))

    def follow(self, decisions: Sequence[Decision]) -> StreamState:
        """Take the decisions of `Predictor.predict` on the next frame.

        Raises:
            InputError: There are no decisions.
        """
        number, face = self._followed(decisions)
        if face.score is not None:
            self._unscored = 0
            self._scored.append(_Scored(self._frames, number, face.score))
            self._verdict = self._decide(face.threshold)
        else:
            self._unscored += 1
            if self._unscored == self._settings.lost:
                self._start_anew()
        state = self._state(number, face)
        self._frames += 1
        return state

    def _followed(self, decisions: Sequence[Decision]) -> tuple[int, Decision]:
        """Number and decision of the followed face; a decision without a box if the face is not in the frame."""
        number = deciding_face(decisions, self._predictor.pipeline.faces)
        if self._box is not None and self._predictor.pipeline.faces != "all":
            overlaps = [_overlap(self._box, one.box) for one in decisions]
            number = overlaps.index(max(overlaps))
            if overlaps[number] < _OVERLAP:
                lost = decisions[number]
                return number, Decision(None, None, lost.threshold, (Reason.NO_FACE,), timings=lost.timings)
        self._box = decisions[number].box or self._box
        return number, decisions[number]

    def _start_anew(self) -> None:
        self._scored.clear()
        self._verdict = self._box = None

    def _decide(self, threshold: float | None) -> Decision | None:
        """The verdict on the scored frames; None if it is still undecided."""
        settings, before = self._settings, self._verdict
        if threshold is None or len(self._scored) < settings.least:
            return None
        score, full = self._score(), len(self._scored) == settings.window
        clear = score >= threshold + settings.margin * (1 - threshold)
        in_a_row = min(one.score for one in list(self._scored)[-settings.least :]) >= threshold
        if before and before.label is Label.ATTACK and before.score is not None:
            score = score if in_a_row and clear and full else min(score, before.score)
        decides = before or score < threshold or (in_a_row and (clear or full))
        return Decision(None, score, threshold, decided_by=self._decided_by()) if decides else None

    def _state(self, number: int, face: Decision) -> StreamState:
        if self._verdict:
            return StreamState(self._verdict, face, 0)
        few = () if face.threshold is None else (Reason.TOO_FEW_FRAMES,)
        score = self._score() if self._scored else None
        decided_by = self._decided_by() if self._scored else DecidedBy(0, (self._frames,) * 2, self._frames, number)
        decision = Decision(None, score, face.threshold, (*face.reasons, *few), decided_by=decided_by)
        return StreamState(decision, face, max(1, self._settings.least - len(self._scored)))

    def _score(self) -> float:
        return run_score([one.score for one in self._scored], RUN)

    def _decided_by(self) -> DecidedBy:
        lowest = min(self._scored, key=lambda one: one.score)
        return DecidedBy(0, (self._scored[0].frame, self._scored[-1].frame), lowest.frame, lowest.face)


def _overlap(one: Box, other: Box | None) -> float:
    """Intersection over union of two boxes; 0 without the other box.

    >>> round(_overlap(Box(0, 0, 2, 2), Box(1, 0, 3, 2)), 3), _overlap(Box(0, 0, 2, 2), None)
    (0.333, 0.0)
    """
    if other is None:
        return 0.0
    width = min(one.x2, other.x2) - max(one.x1, other.x1)
    height = min(one.y2, other.y2) - max(one.y1, other.y1)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (one.width * one.height + other.width * other.height - shared)
