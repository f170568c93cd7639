"""facepad's log on stderr, for the command line and the service. The library adds no log handler by itself."""

from __future__ import annotations

import logging
import sys

__all__ = ["log_to_stderr"]


class _StderrHandler(logging.Handler):
    """A handler that looks up `sys.stderr` for each line, because progress bars replace it temporarily."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:  # noqa: BLE001 - a closed stderr must not stop the work that is logged
            self.handleError(record)


def log_to_stderr(*others: str) -> None:
    """Print the log of facepad and of the loggers ``others`` on stderr, from level INFO.

    A second call adds no second handler.
    """
    for name in ("facepad", *others):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
            logger.addHandler(_StderrHandler())
