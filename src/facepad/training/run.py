"""The state of a training that all its stages share. This module imports no Lightning, which takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from facepad.errors import InputError
from facepad.modelfile.run_folder import RunFolder
from facepad.models import StagedModel
from facepad.training.data import TrainingData
from facepad.training.features import KeptFeatures
from facepad.training.ranks import Ranks
from facepad.training.settings import StageSettings, TrainingPlan
from facepad.training.tracking import QUIET, Tracking

__all__ = ["TrainerOptions", "TrainingRun", "feature_taps"]


@dataclass(frozen=True, slots=True)
class TrainerOptions:
    """The trainer's settings that all stages of a run share.

    Attributes:
        accelerator: ``cpu``, ``cuda`` or ``mps``.
        precision: A precision of Lightning.
        deterministic: Whether to refuse PyTorch operations whose results are not repeatable.
        accumulate: Number of parts of a batch whose gradients a rank accumulates before an optimiser step.
        tracking: Progress bars, and the logger.
    """

    accelerator: str
    precision: str
    deterministic: bool = True
    accumulate: int = 1
    tracking: Tracking = QUIET


@dataclass
class TrainingRun:
    """The state of one run that all stages share.

    Attributes:
        model: The network, which is trained in place.
        data: Samples of the training.
        plan: Settings of the training.
        folder: The run folder.
        options: Settings of the trainer.
        ranks: The place of this process among the ranks.
        unreadable: Training images that could not be read so far: path to reason.
        features: Kept features by split. Later stages use these features again.
    """

    model: StagedModel
    data: TrainingData
    plan: TrainingPlan
    folder: RunFolder
    options: TrainerOptions
    ranks: Ranks = field(default_factory=Ranks.here)
    unreadable: dict[str, str] = field(default_factory=dict)
    features: dict[str, KeptFeatures] = field(default_factory=dict)


def feature_taps(model: StagedModel, stages: Sequence[StageSettings]) -> list[str]:
    """Choose the stages of the network whose inputs are kept as features. One pass computes all features.

    Raises:
        ModelError: no parameter has the prefix that a stage names.
        InputError: a stage freezes parameters that an earlier stage trains. Features would then be of the old weights.
    """
    names = list(model.stages())
    starts: list[str] = []
    for settings in stages:
        start = model.freeze_before(settings.trainable_from) or names[0]
        if starts and names.index(start) > names.index(starts[-1]):
            raise InputError(
                f"stage {settings.name!r} freezes parameters that the previous stage trains; "
                "each stage must train at least the parameters of the previous stage"
            )
        starts.append(start)
    return sorted({start for start in starts if _has_weights(model, start)}, key=names.index)


def _has_weights(model: StagedModel, stop: str) -> bool:
    """Whether a stage before ``stop`` has parameters. Features of stages without parameters need not be kept."""
    return any(True for stage in model.between(stop=stop).values() for _ in stage.parameters())
