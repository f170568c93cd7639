"""The answers of the service as pydantic models, which define the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from facepad.predict.schema import DecidedByPart, DecisionPart, FramePart, ModelPart, Part
from facepad.service.challenge import Hint
from facepad.service.duplicates import Duplicate
from facepad.service.problems import ProblemDocument
from facepad.types import Policy

__all__ = [
    "Answer",
    "ChallengeAnswer",
    "ChallengeTask",
    "Check",
    "ClipPart",
    "Guidance",
    "ImagePart",
    "Models",
    "OpenedSession",
    "PublicKey",
    "PublicKeys",
    "Receipt",
    "SeenDecision",
    "SessionRequest",
    "SessionResult",
    "SessionState",
    "State",
    "StepAnswer",
    "Timings",
    "UploadTask",
]

Check = Literal["passive", "challenge"]
"""A check of a session. ``passive`` judges images or a clip; ``challenge`` judges a clip of requested movements."""

SessionState = Literal["open", "judging", "done", "failed", "expired"]
"""The state of a session."""


class SeenDecision(DecisionPart):
    """A decision, with the depth map of the model."""

    depth_map: str | None
    """Depth map of the crop as a data URI of a grey PNG (white is near). Null if not requested, or without depth."""


class ImagePart(Part):
    """An image of the request."""

    kind: Literal["image"] = "image"
    size: tuple[int, int]
    """Height and width of the upright image in pixels."""
    decisions: tuple[SeenDecision, ...]
    """One decision per face, the most prominent face first."""


class ClipPart(Part):
    """A clip of the request."""

    kind: Literal["clip"] = "clip"
    decision: SeenDecision
    """The decision on the whole clip."""
    frames: tuple[FramePart, ...]
    note: str | None
    """Description of a defect in a file that is still readable; null for a sound file."""


class StepAnswer(Part):
    """A step of an active check."""

    action: str
    passed: bool
    seconds: float | None
    """Time in the clip at which the step was completed, in seconds; null if the step was not passed."""


class ChallengeAnswer(Part):
    """The result of the challenge: whether the clip shows the steps of the session."""

    passed: bool
    steps: tuple[StepAnswer, ...]
    note: str | None
    """Reason why the challenge was not passed; null if it was passed."""


class Timings(Part):
    """Times in seconds. The sum of the steps may exceed the total, because files are examined in parallel."""

    read: float
    """Seconds until the whole request had arrived."""
    wait: float
    """Seconds of waiting for a thread."""
    detect: float
    prepare: float
    score: float
    total: float


class Answer(DecisionPart):
    """The answer on a presentation. All files of a request are judged as one presentation.

    With the policy `all`, each file must be live: one attack makes the answer an attack, and otherwise one undecided
    file makes it undecided. Score, box and depth map are those of the deciding file. A clip is live if the mean score
    of its frames reaches the threshold, more than half of the frames reach it, and no 5 consecutive frames miss it (of
    fewer than 17 scored frames: no quarter).
    """

    request_id: str
    policy: Policy
    """The policy that turned files and frames into this decision."""
    decided_by: DecidedByPart
    """The file, frames and face that decided."""
    depth_map: str | None
    """The depth map of the deciding face, as in `files`. Null if not requested, or without depth."""
    occlusion_map: str | None
    """The part of the image that the model sees as a data URI of a JPEG: blue places speak for live, red ones for an
    attack. Null if not requested, if a clip decided, or without a score."""
    model: ModelPart
    files: tuple[ImagePart | ClipPart, ...]
    """The files, in the order of the request."""
    challenge: ChallengeAnswer | None
    """The result of the challenge of a session; null without a challenge."""
    timings: Timings  # type: ignore[assignment]
    facepad: str
    """Version of the service."""


class SessionRequest(Part):
    """What a backend asks of a session. Unknown fields are refused."""

    reference: str = Field(pattern=r"^[!-~]{1,128}$")
    """The backend's own name for the person or account, of 1 to 128 printable ASCII characters without spaces.

    The result repeats it, and sessions are limited per reference. Use a pseudonym, because it is stored.
    """
    checks: tuple[Check, ...] = Field(default=("passive",), min_length=1, max_length=2)
    """The allowed checks. With two checks, the browser chooses."""
    model: str | None = Field(default=None, min_length=1, max_length=128)
    """Name or SHA-256 of the model that must decide. Null allows the served model, whichever it is."""
    policy: Policy = "all"
    """How several files, or the frames of a clip, make one decision."""
    expires_in: int = Field(default=300, ge=30, le=3600)
    """Seconds until the upload token expires."""


class OpenedSession(Part):
    """A new session."""

    id: str
    """Name of the session, for `GET /v1/sessions/{session_id}`. The browser does not need it."""
    token: str
    """The upload token for the browser. It is valid for one upload, and allows nothing else."""
    reference: str
    checks: tuple[Check, ...]
    expires_in: int
    """Seconds until the upload token expires."""


class SessionResult(Part):
    """A session and its result. The result is kept for minutes."""

    id: str
    reference: str
    state: SessionState
    """`open` until the upload, then `judging`, then `done` or `failed`; `expired` if no upload came in time."""
    expires_in: int
    """Seconds until the state ends: until the token expires, or until the result is deleted."""
    checks: tuple[Check, ...]
    check: Check | None
    """The check that was made; null before the upload."""
    answer: Answer | None
    """The answer on the upload, if the session is done. It has no depth map."""
    problem: ProblemDocument | None
    """The problem of the upload, if the session has failed."""
    sha256: tuple[str, ...]
    """SHA-256 of each uploaded file, in the order of the upload."""
    duplicate_media: Duplicate | None
    """`exact` if a file was uploaded into an earlier session of this key; `near` if it looks nearly the same as one."""
    signed: str | None
    """The result as a compact JWS (EdDSA), if the session is done and the service has signing keys."""


class UploadTask(Part):
    """The upload that a session expects."""

    checks: tuple[Check, ...]
    """The allowed checks. With two checks, the parameter `check` of the upload chooses one."""
    expires_in: int
    """Seconds until the token expires."""


class ChallengeTask(Part):
    """The challenge of a session. It is drawn once; asking again gives the same challenge with less time."""

    steps: tuple[str, ...]
    """The steps that the person must show, in this order."""
    expires_in: int
    """Seconds until the clip must have arrived."""
    max_seconds: float
    """Maximum seconds of the clip."""


class Guidance(Part):
    """What the frames of a recording show so far. It holds no score, and the clip alone is judged."""

    seen: int
    """Number of steps that were seen, in order."""
    hint: Hint | None
    """`no_face`: no single face for half a second. `look_back`: the turn is wide enough. `start_again`: the clip would
    fail, because it does not begin with a look into the camera, or shows another movement. Otherwise null."""


class Receipt(Part):
    """The answer to an upload into a session. The backend of the session gets the verdict."""

    state: Literal["done"] = "done"


class Models(Part):
    """The models of the service."""

    models: tuple[ModelPart, ...]


class PublicKey(Part):
    """A public key as a JSON Web Key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class PublicKeys(Part):
    """The keys that verify signed results, as a JSON Web Key Set (RFC 7517)."""

    keys: tuple[PublicKey, ...]


class State(Part):
    """The state of the service: alive or ready."""

    status: Literal["ok"] = "ok"
