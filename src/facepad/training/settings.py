"""The settings of a training, which are also sections of a recipe. This module does not need PyTorch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from facepad.files.config import Section

__all__ = ["DepthSettings", "StageSettings", "TrainSettings", "TrainingPlan"]


class StageSettings(Section):
    """``[[stages]]``: the trainable parameters, the length and the learning rate of one stage.

    Attributes:
        name: Name of the stage in logs and reports.
        trainable_from: Prefix of the first parameter that learns, such as ``head`` or ``features.12.conv.1``. All
            parameters before it stay frozen. None trains the whole network.
        epochs: Maximum number of passes over the training data.
        optimizer: ``sgd`` (momentum 0.9), ``rmsprop`` or ``adamw``.
        lr: Learning rate. With ``find_lr``, the search replaces this value.
        schedule: ``constant``, or ``one-cycle`` (Smith 2018). One-cycle is a warm-up over a tenth of the steps, then a
            cosine that falls to nearly 0.
        weight_decay: L2 penalty (decoupled for ``adamw``).
        find_lr: Search the learning rate before the stage (Lightning's range test).
        patience: Stop after this number of epochs in which the dev loss has not fallen. None never stops early.
        batch_norm: ``frozen`` keeps the batch norms of the pre-trained trunk in eval mode. ``update`` updates the batch
            norms of all trainable layers. The batch norms of randomly initialised parts are always updated.
        label_smoothing: Fraction in [0, 1) by which each target moves to 0.5.
        loss: Loss of the label, a name in `facepad.training.losses.LOSSES`.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    trainable_from: str | None = None
    epochs: int = Field(ge=1)
    optimizer: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    lr: float = Field(default=1e-4, gt=0, allow_inf_nan=False)
    schedule: Literal["constant", "one-cycle"] = "constant"
    weight_decay: float = Field(default=0.0, ge=0)
    find_lr: bool = False
    patience: int | None = Field(default=None, ge=1)
    batch_norm: Literal["frozen", "update"] = "update"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    loss: str = "cross-entropy"


class DepthSettings(Section):
    """``[depth]``: the depth term of the loss, and the depth labels that it uses.

    Attributes:
        weight: Factor of the depth term, the paper's lambda.
        regions: ``map`` averages over the whole map, as the paper does. ``face`` gives half the weight to the face
            (places with a label above 0) and half to the background. A wide crop's background then does not dominate.
        contrast: Weight of the contrastive depth loss (Wang et al. 2020) within the depth term.
        engine: Name of the depth labeller whose maps are used. None takes the only labeller whose maps exist.
    """

    weight: float = Field(default=1.0, ge=0)
    regions: Literal["map", "face"] = "face"
    contrast: float = Field(default=0.0, ge=0)
    engine: str | None = None


class TrainSettings(Section):
    """``[train]``: settings that all stages share.

    Attributes:
        seed: Seed of sample order, dropout and augmentation (and, in a recipe, of the initial weights).
        batch_size: Number of images in one step, over all devices.
        accumulate: Number of parts into which a device splits its images of a step, to save memory.
        lr_batch_size: Batch size for which the stages' learning rates were chosen. The rates are multiplied by
            ``batch_size`` / ``lr_batch_size`` (linear scaling, Goyal et al. 2017). None does not change the rates.
        balance_classes: Whether the loss is weighted to give both classes the same influence.
        deterministic: Whether to refuse PyTorch operations whose results are not repeatable.
        precision: A precision of Lightning, or ``auto`` (bfloat16 on CUDA, 32 bit elsewhere). ``64-true`` makes
            rounding negligible, for comparing two runs that should be equal. The trained network always has 32 bit.
    """

    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    batch_size: int = Field(default=224, ge=1)
    accumulate: int = Field(default=1, ge=1)
    lr_batch_size: int | None = Field(default=None, ge=1)
    balance_classes: bool = False
    deterministic: bool = True
    precision: Literal["auto", "32-true", "64-true", "bf16-mixed", "16-mixed"] = "auto"

    @model_validator(mode="after")
    def _require_an_image_in_each_part(self) -> Self:
        if self.accumulate > self.batch_size:
            raise ValueError(
                f"accumulate = {self.accumulate} parts need at least as many images in a batch, "
                f"but batch_size = {self.batch_size}"
            )
        return self


class TrainingPlan(Section):
    """All settings of a training, without the network and its data.

    Attributes:
        stages: The stages, in order.
        train: Settings that all stages share.
        depth: Settings of the depth term of the loss, for networks that give a depth map.
    """

    stages: tuple[StageSettings, ...] = Field(min_length=1)
    train: TrainSettings = TrainSettings()
    depth: DepthSettings = DepthSettings()

    def scaled_stages(self) -> tuple[StageSettings, ...]:
        """The stages with their learning rates scaled to the plan's batch size.

        >>> train = TrainSettings(batch_size=512, lr_batch_size=128)
        >>> plan = TrainingPlan(stages=(StageSettings(name="head", epochs=3, lr=0.1),), train=train)
        >>> plan.scaled_stages()[0].lr
        0.4
        """
        scale = self.train.batch_size / (self.train.lr_batch_size or self.train.batch_size)
        return tuple(stage.model_copy(update={"lr": stage.lr * scale}) for stage in self.stages)
