"""The decision log: one line of JSON for each decision, without pictures, in a file that only grows."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from facepad.errors import InputError, reason
from facepad.files.disk import json_line
from facepad.files.opening import open_regular
from facepad.service.duplicates import Duplicate
from facepad.service.problems import Problem
from facepad.service.schemas import Answer, Check
from facepad.service.sessions import SessionRecord
from facepad.types import Label, Policy, ScoreStatus

__all__ = ["DecisionLog", "LoggedDecision"]

# Without O_NONBLOCK, opening a pipe, or writing to a full pipe, would wait for the reader of the pipe.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
_WRITING_SECONDS = 0.05  # After this time, a line without an end is not one that another thread or process is writing.


class LoggedDecision(BaseModel):
    """One line of the decision log.

    Attributes:
        time: Time of the decision in UTC, in ISO 8601.
        request_id: The id of the request, which no other line has.
        key: Name of the API key that asked, or that opened the session; ``-`` without keys.
        session, reference, check: The session, its reference and its check; None without a session.
        label, status, reasons, score, threshold, policy: The decision, as in the answer.
        model, model_sha256: Name and hash of the model that decided.
        files: SHA-256 of each judged file.
        duplicate_media: Whether a file was uploaded before; None without a session.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: str
    request_id: str
    key: str
    session: str | None
    reference: str | None
    check: Check | None
    label: Label | None
    status: ScoreStatus
    reasons: tuple[str, ...]
    score: float | None
    threshold: float | None
    policy: Policy
    model: str
    model_sha256: str
    files: tuple[str, ...]
    duplicate_media: Duplicate | None

    @classmethod
    def of(cls, answer: Answer, key: str, files: Sequence[str], session: SessionRecord | None = None) -> LoggedDecision:
        """The line of an answer."""
        return cls(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            request_id=answer.request_id,
            key=key,
            session=None if session is None else session.id,
            reference=None if session is None else session.request.reference,
            check=None if session is None else session.check,
            label=answer.label,
            status=answer.status,
            reasons=answer.reasons,
            score=answer.score,
            threshold=answer.threshold,
            policy=answer.policy,
            model=answer.model.name,
            model_sha256=answer.model.sha256,
            files=tuple(files),
            duplicate_media=None if session is None else session.duplicate_media,
        )


class DecisionLog:
    """Appends decisions to a file. Several processes may append to one file, because each line is one write.

    The file is opened for each line. A tool may therefore move the file away, and the next line starts a new file.
    A line that a full disk cuts off belongs to a decision that was not given. It stays, as a line that is not JSON.

    Args:
        path: The file. A missing file is created, for its owner only.

    Raises:
        InputError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._append(b"")
        except OSError as error:
            raise InputError(f"{path}: the decision log cannot be written ({reason(error)})") from error

    async def write(self, decision: LoggedDecision) -> None:
        """Append a line.

        Raises:
            Problem: The line cannot be written. The decision must then not be given.
        """
        line = json_line(decision.model_dump(mode="json")).encode()
        try:
            await asyncio.to_thread(self._append, line)
        except OSError:
            raise Problem("not-ready", "the decision log cannot be written", retry_after=10) from None

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self._path, _FLAGS, 0o600)
        try:
            if line and _is_cut_off(self._path):
                line = b"\n" + line
            if os.write(descriptor, line) != len(line):
                raise OSError("only a part of the line was written")
        finally:
            os.close(descriptor)


def _is_cut_off(path: Path) -> bool:
    """Whether a full disk has cut off the last line of the file. The next decision must not continue this line."""
    if not _ends_within_a_line(path):
        return False
    time.sleep(_WRITING_SECONDS)
    return _ends_within_a_line(path)


def _ends_within_a_line(path: Path) -> bool:
    try:
        with open_regular(path) as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) != b"\n"
    except OSError:  # an empty file, a pipe, or a file that may only be written
        return False
