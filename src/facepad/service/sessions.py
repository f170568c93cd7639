"""Sessions: a backend opens a session, a browser uploads into it once, and the backend fetches the result."""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from facepad.service.challenge import Challenge, draw
from facepad.service.duplicates import Duplicate, MediaPrint, find_duplicate
from facepad.service.problems import Problem, ProblemDocument
from facepad.service.schemas import Answer, Check, SessionRequest, SessionState
from facepad.service.store import Store

__all__ = ["CHALLENGE_SECONDS", "FRAMES", "BegunChallenge", "SessionRecord", "Sessions"]

CHALLENGE_SECONDS = 60
"""Seconds from the first showing of a challenge to the arrival of its clip."""

FRAMES = 240
"""Maximum frames per minute that guide the active check of one session."""

_UPLOADS = 10  # Maximum uploads per minute into one session, of which only one is judged.
_LEAST_KEPT = 300.0  # Least seconds for which a session without a result is kept after its end: webhooks need it.
_RANDOM = secrets.SystemRandom()


class SessionRecord(BaseModel):
    """A session in the store.

    Attributes:
        id: Random name of the session. The browser does not need it.
        key: Name of the API key that opened the session.
        request: The request that opened the session.
        state: The last state that was stored; see `state_at`.
        until: The Unix time in seconds at which the state ends.
        check: The check that was made; None before an upload.
        answer: The answer on the upload; None before it, and after a failed check.
        problem: The problem of a failed check.
        files: SHA-256 of each uploaded file; empty before an upload.
        signed: The signed result, a compact JWS; None without an answer or without signing keys.
        duplicate_media: Whether a file was uploaded before, into another session of the same key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    key: str
    request: SessionRequest
    state: Literal["open", "judging", "done", "failed"]
    until: float
    check: Check | None = None
    answer: Answer | None = None
    problem: ProblemDocument | None = None
    files: tuple[str, ...] = ()
    signed: str | None = None
    duplicate_media: Duplicate | None = None

    def state_at(self, now: float) -> SessionState:
        """The state at a time. A session expires without an upload. It fails if the process that judged it has died."""
        if now < self.until or self.state in ("done", "failed"):
            return self.state
        return "expired" if self.state == "open" else "failed"

    def seconds_left(self, now: float) -> int:
        """Whole seconds until the state ends, at least 0."""
        return max(0, math.floor(self.until - now))


class BegunChallenge(BaseModel):
    """A challenge that was shown to a person.

    Attributes:
        challenge: The challenge, in the form of `Challenge.to_json`.
        until: The Unix time in seconds until which the clip must arrive.
    """

    challenge: str
    until: float


class Sessions:
    """The sessions of all worker processes.

    The store holds the record of each session under its id, and the id under the hash of the upload token. An upload
    takes the token out of the store. Of several simultaneous uploads, one therefore gets the session.

    Args:
        store: The store.
        attempts: Maximum sessions per hour for one reference of one key; 0 means no limit.
        keep: Seconds for which the result of a session is kept.
        sign: Function that signs a session with an answer. It returns None if the service signs no results.
    """

    def __init__(
        self, store: Store, attempts: int, keep: float, sign: Callable[[SessionRecord], str | None] = lambda _: None
    ) -> None:
        self._store, self._attempts, self._keep, self._sign = store, attempts, keep, sign

    async def open(self, request: SessionRequest, key: str) -> tuple[SessionRecord, str]:
        """Open a session.

        Returns:
            The session and its upload token.

        Raises:
            Problem: The reference has too many sessions, or the store does not answer.
        """
        if self._attempts:
            reference = f"reference {key} {request.reference}"
            if seconds := await self._store.wait(reference, self._attempts, hours=True):
                detail = f"the limit is {self._attempts} sessions an hour for one reference"
                raise Problem("too-many-requests", detail, retry_after=seconds)
        record = SessionRecord(
            id=secrets.token_urlsafe(16),
            key=key,
            request=request,
            state="open",
            until=time.time() + request.expires_in,
        )
        token = secrets.token_urlsafe(32)
        await self.save(record)
        await self._store.tokens.put(_digest(token), record.id, request.expires_in)
        return record, token

    async def of_token(self, token: str) -> SessionRecord:
        """The open session of an upload token.

        Raises:
            Problem: The token is unknown, used or expired, was used too often, or the store does not answer.
        """
        found = await self._store.tokens.get(_digest(token))
        text = None if found is None else await self._store.sessions.get(found)
        record = None if text is None else SessionRecord.model_validate_json(text)
        if record is None or record.state_at(time.time()) != "open":
            raise _refused()
        return record

    async def limit_uploads(self, record: SessionRecord) -> None:
        """Count an upload into a session.

        Raises:
            Problem: The session has too many uploads, or the store does not answer.
        """
        if seconds := await self._store.wait(f"session {record.id}", _UPLOADS):
            detail = f"the limit is {_UPLOADS} uploads a minute into one session"
            raise Problem("too-many-requests", detail, retry_after=seconds)

    async def limit_frames(self, record: SessionRecord) -> None:
        """Count a frame that guides an active check.

        Raises:
            Problem: The session has too many frames, or the store does not answer.
        """
        if seconds := await self._store.wait(f"frames {record.id}", FRAMES):
            detail = f"the limit is {FRAMES} frames a minute for one active check"
            raise Problem("too-many-requests", detail, retry_after=seconds)

    async def begin_challenge(self, record: SessionRecord) -> BegunChallenge:
        """Draw the challenge of a session. A later call returns the same challenge with the same end.

        Raises:
            Problem: The session allows no challenge, the challenge is over, or the store does not answer.
        """
        if "challenge" not in record.request.checks:
            raise Problem("bad-request", "this session allows no active check")
        now = time.time()
        until = min(now + CHALLENGE_SECONDS, record.until)
        drawn = BegunChallenge(challenge=draw(_RANDOM).to_json(), until=until)
        # The challenge is stored as long as the session, so that no second challenge is drawn when it is over.
        if await self._store.challenges.put_once(record.id, drawn.model_dump_json(), record.until - now + 1):
            return drawn
        return await self._begun(record)

    async def challenge_of(self, record: SessionRecord) -> Challenge:
        """The challenge that a clip must show now.

        Raises:
            Problem: The challenge was not begun, or is over, or the store does not answer.
        """
        return Challenge.from_json((await self._begun(record)).challenge)

    async def take(self, token: str, record: SessionRecord, seconds: float) -> SessionRecord:
        """Take the session of a token for one check. The token is then no longer valid.

        Args:
            token: The upload token.
            record: The session of the token, with the check to make and the files to judge.
            seconds: Maximum seconds of the check.

        Raises:
            Problem: The token is unknown, used or expired, or the store does not answer.
        """
        if await self._store.tokens.take(_digest(token)) != record.id:
            raise _refused()
        taken = record.model_copy(update={"state": "judging", "until": time.time() + seconds})
        await self.save(taken)
        return taken

    async def find_duplicate(self, record: SessionRecord, dhashes: Sequence[Sequence[int]]) -> Duplicate | None:
        """Whether a file of an upload was uploaded into an earlier session of the same key.

        The service remembers the newest `MOST_RECENT` files of a key, for at most a day.

        Args:
            record: The session, with the SHA-256 of each file.
            dhashes: For each file, the dHash of each judged frame.

        Raises:
            Problem: The store does not answer.
        """
        prints = [MediaPrint.of(sha256, hashes) for sha256, hashes in zip(record.files, dhashes, strict=True)]
        earlier = await self._store.recent.add(record.key, list(map(str, prints)))
        return await asyncio.to_thread(lambda: find_duplicate(prints, list(map(MediaPrint.parse, earlier))))

    async def finish(self, record: SessionRecord, result: Answer | ProblemDocument) -> SessionRecord:
        """Store the result of a session, and sign an answer. The session is then done, or has failed with a problem."""
        ended = {"state": "failed", "until": time.time() + self._keep}
        if isinstance(result, ProblemDocument):
            finished = record.model_copy(update=ended | {"problem": result})
        else:
            finished = record.model_copy(update=ended | {"state": "done", "answer": result})
            finished = finished.model_copy(update={"signed": self._sign(finished)})
        await self.save(finished)
        return finished

    async def of_id(self, session_id: str, key: str) -> SessionRecord:
        """A session of a key.

        Raises:
            Problem: This key has no such session, or its result is no longer kept, or the store does not answer.
        """
        text = await self._store.sessions.get(session_id)
        record = None if text is None else SessionRecord.model_validate_json(text)
        if record is None or record.key != key:
            raise Problem("not-found", "this key has no such session, or its result is no longer kept")
        return record

    async def save(self, record: SessionRecord) -> None:
        """Store a session. A result is kept until its end, and another state at least as long after its end."""
        after = 0 if record.state in ("done", "failed") else max(self._keep, _LEAST_KEPT)
        seconds = record.until - time.time() + after
        await self._store.sessions.put(record.id, record.model_dump_json(), seconds)

    async def _begun(self, record: SessionRecord) -> BegunChallenge:
        text = await self._store.challenges.get(record.id)
        if text is None:
            raise Problem("bad-request", "begin the active check first (POST /v1/challenge)")
        begun = BegunChallenge.model_validate_json(text)
        if time.time() >= begun.until:
            detail = f"start another session: the active check took longer than {CHALLENGE_SECONDS} seconds"
            raise Problem("session-refused", detail)
        return begun


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _refused() -> Problem:
    return Problem("session-refused", "start another session: this session is unknown, expired or used")
