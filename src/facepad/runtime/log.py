"""facepad's log on stderr, for the command line and the service. The library adds no log handler by itself."""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
import traceback
from collections import Counter

from facepad.runtime.terminal import one_line, safe_text

__all__ = ["log_to_stderr"]

_MOST_KINDS = 1000


class _StderrHandler(logging.Handler):
    """A handler that looks up `sys.stderr` for each line, because progress bars replace it temporarily."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(safe_text(self.format(record)), file=sys.stderr, flush=True)
        except Exception:  # noqa: BLE001 - a closed stderr must not stop the work that is logged
            self.handleError(record)


class _OneLine(logging.Formatter):
    """The message in one line. Only a traceback has further lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name of the base class
        return one_line(super().formatMessage(record))


_Kind = tuple[str, int, str]


class _OnceASecond(logging.Filter):
    """A filter that passes at most one warning or error a second of each message, and counts the others.

    An exception that was raised at the same place within the last second loses its traceback, but not its message: the
    message may name another request. Messages of different lines of code are different.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._last: dict[_Kind, float] = {}
        self._dropped: Counter[_Kind] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        fault = _fault_of(record)
        message = (record.pathname, record.lineno, _message_of(record))
        with self._lock:
            new_fault = fault is not None and self._is_new((record.pathname, record.lineno, fault))
            if not self._is_new(message) and not new_fault:
                self._dropped[message] += 1
                return False
            if dropped := self._dropped.pop(message, 0):
                record.msg = f"{record.msg} (and {dropped} more since the last such line)"
        if record.exc_info and record.exc_info[0] and not new_fault:
            record.msg = f"{record.msg} (the same {record.exc_info[0].__name__} as before)"
            record.exc_info = record.exc_text = None
        return True

    def _is_new(self, kind: _Kind) -> bool:
        """Whether no record of this kind was passed within the last second. If so, one is passed now."""
        now = time.monotonic()
        if now - self._last.get(kind, -math.inf) < 1:
            return False
        if len(self._last) > _MOST_KINDS:  # To bound the memory.
            self._last.clear()
            self._dropped.clear()
        self._last[kind] = now
        return True


def _fault_of(record: logging.LogRecord) -> str | None:
    """The type of the exception of a record and the innermost place of its traceback; None without an exception."""
    if not record.exc_info or record.exc_info[0] is None:
        return None
    return "".join([repr(record.exc_info[0]), *traceback.format_tb(record.exc_info[2], limit=-1)])


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - wrong arguments of a message must not stop the work that is logged
        return str(record.msg)


_FILTER = _OnceASecond()


def log_to_stderr(*others: str, once_a_second: bool = False) -> None:
    """Print the log of facepad and of the loggers ``others`` on stderr, from level INFO.

    A second call adds no second handler.

    Args:
        others: Names of loggers.
        once_a_second: Whether a repeated warning, error or traceback is printed at most once a second.
    """
    for name in ("facepad", *others):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
            handler = _StderrHandler()
            handler.setFormatter(_OneLine())
            logger.addHandler(handler)
        for known in logger.handlers:
            if once_a_second and isinstance(known, _StderrHandler):
                known.addFilter(_FILTER)
