"""What a training shows besides its result: progress bars, and the curves in one of Lightning's loggers."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, get_args

from facepad.errors import InputError
from facepad.runtime.arguments import require_choice

__all__ = ["QUIET", "LoggerName", "Tracking"]

LoggerName = Literal["tensorboard", "csv", "mlflow", "wandb"]
"""The logger of a training's curves. ``metrics.jsonl`` is always written, too."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """What a training shows besides its result.

    Attributes:
        progress: Whether to show progress bars on stderr.
        logger: The logger of the curves.

    Raises:
        InputError: the logger is unknown, or its package is not installed.
    """

    progress: bool = False
    logger: LoggerName = "tensorboard"

    def __post_init__(self) -> None:
        require_choice("logger", self.logger, get_args(LoggerName))
        if self.logger in ("mlflow", "wandb") and find_spec(self.logger) is None:
            raise InputError(
                f"the logger {self.logger} needs the package {self.logger}, which is not installed: "
                f"pip install {self.logger}, or choose --logger csv"
            )


QUIET = Tracking()
"""No progress bars, and TensorBoard's events."""
