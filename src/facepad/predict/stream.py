"""A stable verdict on the frames of a camera: a stream follows one face, smooths its scores, and holds its verdict."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from facepad.errors import InputError
from facepad.predict.pipeline import ImageInput
from facepad.predict.policy import RUN, deciding_face, run_score
from facepad.predict.predictor import Predictor
from facepad.types import Box, Decision, Label, Reason

__all__ = ["Stream", "StreamSettings", "StreamState"]

_OVERLAP = 0.3  # Least intersection over union of the followed face in two frames.


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The settings of a stream. Frames are counted, not seconds.

    Attributes:
        least: Least number of scored frames for a verdict.
        window: Number of the last scored frames that decide; at least ``least``.
        lost: Number of consecutive frames without a score after which the stream starts anew.
        margin: Part of the range from the threshold to 1 by which the score must exceed the threshold before a verdict
            becomes live. A live verdict holds down to the threshold.
    """

    least: int = RUN
    window: int = 3 * RUN
    lost: int = RUN
    margin: float = 0.1

    def __post_init__(self) -> None:
        if not (1 <= self.least <= self.window and self.lost >= 1 and 0 <= self.margin <= 1):
            raise InputError(f"expected 1 <= least <= window, lost >= 1 and a margin from 0 to 1, got {self}")


@dataclass(frozen=True, slots=True)
class StreamState:
    """The state of a stream after a frame.

    Attributes:
        label: The verdict; None means undecided.
        score: The score of the last frames by the rule of `facepad.predict.policy.decide_frames`; None without scores.
        threshold: The threshold of the model; None for a model that never decides.
        reasons: What the stream waits for: the reasons of this frame if it has no score, and ``too_few_frames``.
        missing: Number of scored frames that are still needed for a verdict; 0 if there is one.
        face: The decision on the followed face in this frame. If the face is not there, a decision without a box.
    """

    label: Label | None
    score: float | None
    threshold: float | None
    reasons: tuple[Reason, ...]
    missing: int
    face: Decision

    @property
    def verdict(self) -> str:
        """The verdict in one word: ``live``, ``attack`` or ``undecided``."""
        return {Label.BONA_FIDE: "live", Label.ATTACK: "attack", None: "undecided"}[self.label]


class Stream:
    """Decides on a stream of frames. It needs a bounded amount of memory for any number of frames.

    The stream follows the most prominent face of its first frame. The last scored frames of this face decide by the
    rule for clips (`facepad.predict.policy.decide_frames`). A live verdict ends when this rule finds an attack. An
    attack ends when a whole window of frames is live by a margin. After some frames without a score the stream starts
    anew, with the most prominent face.

    Args:
        predictor: The model. If all faces must be live (``load(faces="all")``), the weakest face of each frame counts.
        settings: The settings.
    """

    def __init__(self, predictor: Predictor, settings: StreamSettings | None = None) -> None:
        self._predictor, self._settings = predictor, settings or StreamSettings()
        self._scores: deque[float] = deque(maxlen=self._settings.window)
        self._label: Label | None = None
        self._box: Box | None = None
        self._unscored = 0

    def update(self, frame: ImageInput) -> StreamState:
        """Decide on the next frame.

        Args:
            frame: The frame, as in `Predictor.predict`: usually a uint8 RGB array ``(H, W, 3)``.

        Raises:
            ImageError: The frame is not an image.
            ModelError: The network gives NaN.
        """
        return self.follow(self._predictor.predict(frame))

    def follow(self, decisions: tuple[Decision, ...]) -> StreamState:
        """Take the decisions of `Predictor.predict` on the next frame."""
        face = self._followed(decisions)
        if face.score is None:
            self._unscored += 1
            if self._unscored >= self._settings.lost:
                self._start_anew()
        else:
            self._unscored = 0
            self._scores.append(face.score)
            self._label = self._decide(face.threshold)
        return self._state(face)

    def _followed(self, decisions: tuple[Decision, ...]) -> Decision:
        """The decision on the followed face; without a score if the face is not in the frame."""
        faces = self._predictor.pipeline.faces
        if faces == "all" or self._box is None:
            face = decisions[deciding_face(decisions, faces)]
        else:
            box = self._box
            face = max(decisions, key=lambda one: _overlap(box, one.box))
            if face.box is not None and _overlap(box, face.box) < _OVERLAP:
                return Decision(None, None, face.threshold, (Reason.NO_FACE,), timings=face.timings)
        self._box = face.box or self._box
        return face

    def _start_anew(self) -> None:
        self._scores.clear()
        self._label, self._box = None, None

    def _decide(self, threshold: float | None) -> Label | None:
        if threshold is None or len(self._scores) < self._settings.least:
            return None
        score, full = run_score(self._scores), len(self._scores) == self._settings.window
        clear = score >= threshold + self._settings.margin * (1 - threshold)
        if score < threshold:
            return Label.ATTACK
        if self._label is Label.ATTACK:
            return Label.BONA_FIDE if clear and full else Label.ATTACK
        return Label.BONA_FIDE if self._label or clear or full else None

    def _state(self, face: Decision) -> StreamState:
        reasons = face.reasons
        if self._label is None and face.threshold is not None:
            reasons = tuple(dict.fromkeys((*reasons, Reason.TOO_FEW_FRAMES)))
        least = self._settings.least if len(self._scores) < self._settings.least else self._settings.window
        missing = 0 if self._label else max(0, least - len(self._scores))
        score = run_score(self._scores) if self._scores else None
        return StreamState(self._label, score, face.threshold, reasons, missing, face)


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
