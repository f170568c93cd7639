"""facepad's log on stderr, for the command line and the service; the library alone logs to nobody."""

from __future__ import annotations

import logging
import sys

__all__ = ["log_to_stderr"]


class _StderrHandler(logging.Handler):
    """Prints to the stderr of the moment, which a progress bar replaces while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


def log_to_stderr(*others: str) -> None:
    """Print the log of facepad, and of the ``others``' loggers, from INFO on; a second call changes nothing."""
    for name in ("facepad", *others):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
            logger.addHandler(_StderrHandler())
