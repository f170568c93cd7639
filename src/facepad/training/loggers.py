"""Lightning's loggers of a training's curves. A resumed run continues its run of MLflow or W&B, and its CSV files."""

from __future__ import annotations

import csv
import os
import uuid
import warnings
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from facepad.errors import ModelError, RunError, first_line
from facepad.files.disk import read_json, write_json
from facepad.modelfile.run_folder import RunFolder
from facepad.training.ranks import Ranks
from facepad.training.tracking import LoggerName

__all__ = ["make_logger"]

_PROJECT = "facepad"


def make_logger(name: LoggerName, folder: RunFolder, stage: str) -> Logger:
    """Make the logger of one stage. All stages share one run of MLflow or W&B, in which names begin with the stage.

    Args:
        name: The logger. The environment variables of MLflow (``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME``) and
            W&B (``WANDB_MODE``, ``WANDB_PROJECT``) choose the place. By default MLflow writes into the run folder.
        folder: The run folder.
        stage: Name of the stage.

    Raises:
        ModelError: the file with the run's identifier, or the CSV file of a resumed stage, is damaged.
        RunError: MLflow or W&B refuses the run, or its server does not answer.
    """
    if name == "tensorboard":
        return TensorBoardLogger(str(folder.tensorboard.parent), name=folder.tensorboard.name, version=stage)
    if name == "csv":
        return _csv_logger(folder, stage)
    try:
        return _mlflow_logger(folder, stage) if name == "mlflow" else _wandb_logger(folder, stage)
    except (ModelError, OSError):
        raise
    except Exception as error:  # each package has its own exception types
        raise RunError(f"the logger {name} cannot begin: {first_line(error)}") from error


def _csv_logger(folder: RunFolder, stage: str) -> CSVLogger:
    """A CSV logger. Lightning removes the file of a resumed stage, so its rows are written again."""
    logger = CSVLogger(folder.path, name="csv", version=stage, flush_logs_every_n_steps=1)
    if not Ranks.here().first:
        return logger
    rows = _read_rows(Path(logger.log_dir) / "metrics.csv")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Experiment logs directory")
        writer = logger.experiment
    writer.metrics = rows
    writer.save()
    return logger


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ModelError(f"{path} is damaged; remove it, and the logger begins another file") from error
    return [{name: value for name, value in row.items() if name and value} for row in rows]


def _mlflow_logger(folder: RunFolder, stage: str) -> MLFlowLogger:
    path, first = folder.path.resolve(), Ranks.here().first
    logger = MLFlowLogger(
        os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT),
        path.name,
        os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{path / 'mlflow.db'}",
        artifact_location=(path / "mlflow").as_uri() if "MLFLOW_TRACKING_URI" not in os.environ else None,
        prefix=stage,
        run_id=_read_run(folder, "mlflow") if first else None,
    )
    if first:
        _begin(logger, folder, "mlflow", str(logger.run_id))
        logger.experiment.update_run(logger.run_id, status="RUNNING")  # the stage before has ended it
    return logger


def _wandb_logger(folder: RunFolder, stage: str) -> WandbLogger:
    first = Ranks.here().first
    run = _read_run(folder, "wandb") if first else None
    logger = WandbLogger(
        folder.path.resolve().name,
        folder.path,
        id=run or uuid.uuid4().hex,
        project=os.environ.get("WANDB_PROJECT", _PROJECT),
        prefix=stage,
        resume="allow",
    )
    if first:
        _begin(logger, folder, "wandb", str(logger.version))
    return logger


def _begin(logger: MLFlowLogger | WandbLogger, folder: RunFolder, name: str, run: str) -> None:
    """Store the identifier of a new run, and log the recipe as its parameters."""
    if _read_run(folder, name) is not None:
        return
    if folder.is_begun:
        logger.log_hyperparams(folder.read_recipe())
    write_json(folder.logger_file, {name: run})


def _read_run(folder: RunFolder, name: str) -> str | None:
    """The identifier of the run that an earlier process, or an earlier stage, has begun."""
    path = folder.logger_file
    if not path.exists():
        return None
    try:
        found = read_json(path).get(name)
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} is damaged; remove it, and the logger begins another run") from error
    return None if found is None else str(found)
