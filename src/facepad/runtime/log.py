"""facepad's log on stderr, for the command line and the service. The library adds no log handler by itself."""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
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


_Kind = tuple[str, int, str | type[BaseException]]


class _OnceASecond(logging.Filter):
    """A filter that passes at most one warning or error a second of each kind, and counts the others.

    Records of one line of code with one message, or with one type of exception, are of one kind.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._last: dict[_Kind, float] = {}
        self._dropped: Counter[_Kind] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        exception = record.exc_info[0] if record.exc_info else None
        kind = (record.pathname, record.lineno, exception or _message_of(record))
        now = time.monotonic()
        with self._lock:
            if now - self._last.get(kind, -math.inf) < 1:
                self._dropped[kind] += 1
                return False
            if len(self._last) > _MOST_KINDS:  # To bound the memory.
                self._last.clear()
                self._dropped.clear()
            self._last[kind] = now
            if dropped := self._dropped.pop(kind, 0):
                record.msg = f"{record.msg} (and {dropped} more since the last such line)"
            return True


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
        once_a_second: Whether a repeated warning or error is printed at most once a second, with the number of others.
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
