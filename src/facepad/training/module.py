"""The Lightning module of a stage: loss, optimiser and batch norms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from facepad.errors import InputError
from facepad.models import StagedModel
from facepad.models.pixels import to_input
from facepad.training.losses import LOSSES, depth_loss
from facepad.training.settings import DepthSettings, StageSettings

__all__ = ["PadModule", "WeightedMean"]

_ONE_IMAGE = (
    "a batch norm cannot learn from one image: choose train.batch_size, train.accumulate and the devices so that each "
    'part of a batch, also of the last batch, has at least two images, or set batch_norm = "frozen"'
)


class WeightedMean(Metric):
    """Weighted mean over the batches of all ranks.

    Two existing means do not fit. Lightning's mean has rounding errors if the ranks' parts differ in size. The mean of
    torchmetrics ignores NaN, or drops all weights.
    """

    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("weight", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, values: Tensor, weight: int) -> None:
        """Add values with the weight ``weight`` each."""
        self.total += values.sum() * weight
        self.weight += values.numel() * weight

    def compute(self) -> Tensor:
        """The mean of all values since the last reset."""
        return self.total / self.weight


class PadModule(pl.LightningModule):
    """Trains a network from the stage ``start`` to the end. The batches hold pixels, or stored features of this stage.

    Args:
        model: The network. `StagedModel.freeze_before` has chosen the trainable parameters.
        settings: Settings of the training stage.
        start: The first stage of the network that runs. None means that the batches hold pixels.
        class_weights: Loss weights of (attack, bona fide).
        depth: Settings of the depth term, which is used if both the network and the batches have depth maps.

    Attributes:
        train_weight: Function from the number of a training batch to the batch's weight (`Batches.weight`).
        dev_weight: The same function for dev batches. A dev batch with weight 0 is not measured.
        lr: The learning rate. A search may change it.
    """

    def __init__(
        self,
        model: StagedModel,
        settings: StageSettings,
        *,
        start: str | None = None,
        class_weights: tuple[float, float] = (1.0, 1.0),
        depth: DepthSettings | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.start = start
        self.class_weights = class_weights
        self.depth = depth
        self.train_weight: Callable[[int], float] = _equal_weight
        self.dev_weight: Callable[[int], float] = _equal_weight
        self.lr = settings.lr
        self.means: dict[str, WeightedMean] = {}

    def train(self, mode: bool = True) -> Self:
        """Set training mode. Frozen batch norms stay in eval mode, because they must keep their ImageNet statistics."""
        super().train(mode)
        if mode:
            for module in self._fixed_batch_norms():
                module.eval()
        return self

    def _fixed_batch_norms(self) -> Iterator[nn.Module]:
        for name, module in self.model.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the base has no public name
                frozen = not any(parameter.requires_grad for parameter in module.parameters())
                kept = self.settings.batch_norm == "frozen" and not name.startswith(self.model.own)
                if frozen or kept:
                    yield module

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor | None:
        """The weighted loss of one batch.

        A batch of weight 0, or without readable images, has no loss. A single process then skips the step by returning
        None. One of several ranks cannot skip the step, because the other ranks wait for its gradient. It returns 0.
        """
        weight = self.train_weight(batch_idx) if len(batch[1]) else 0.0
        if not weight and self.trainer.world_size == 1:
            return None
        return weight * self._measure("train", batch, weight, self.class_weights, self.settings.label_smoothing)

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        """Measure the unweighted loss of one dev batch, and the accuracy at P(bona fide) = 0.5."""
        self._measure("dev", batch, self.dev_weight(batch_idx))

    def _measure(
        self,
        part: str,
        batch: tuple[Tensor, ...],
        weight: float,
        class_weights: tuple[float, float] = (1.0, 1.0),
        smoothing: float = 0.0,
    ) -> Tensor:
        count = len(batch[1]) if weight else 0
        if not len(batch[1]):  # every rank must run backward, so one image of zeros, with weight 0, replaces the batch
            batch = tuple(tensor.new_zeros(1, *tensor.shape[1:]) for tensor in batch)
        inputs, labels, *depth = batch
        if inputs.dtype == torch.uint8:  # crops are moved as bytes, because float32 is four times as large
            inputs = to_input(inputs).to(self.dtype)
        try:
            outputs = self.model.run(inputs, start=self.start)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise InputError(_ONE_IMAGE) from error
        logits, maps = outputs if isinstance(outputs, tuple) else (outputs, None)
        label_loss = LOSSES[self.settings.loss]
        loss = label_loss(logits, labels, class_weights=class_weights, smoothing=smoothing)
        if maps is not None and depth and self.depth is not None:
            term = depth_loss(maps, depth[0], self.depth)
            self._add(f"{part}_depth_loss", term, count)
            loss = loss + term
        self._add(f"{part}_loss", loss, count)
        self._add(f"{part}_accuracy", ((logits >= 0) == (labels > 0.5)).float(), min(count, 1))
        return loss

    def _add(self, name: str, values: Tensor, weight: int) -> None:
        if name not in self.means:
            self.means[name] = WeightedMean().to(values.device)
        self.means[name].update(values.detach(), weight)

    def on_fit_start(self) -> None:
        """Forget the measurements of a learning-rate search."""
        for mean in self.means.values():
            mean.reset()

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's means over the samples of all ranks. Each epoch of training ends with a validation."""
        for name, mean in self.means.items():
            if mean.update_called:
                self.log(name, mean.compute(), prog_bar=True)
                mean.reset()

    def configure_optimizers(self) -> Any:
        """The optimiser of the trainable parameters, with the schedule of the learning rate."""
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        decay = self.settings.weight_decay
        optimizer: torch.optim.Optimizer
        if self.settings.optimizer == "sgd":
            optimizer = torch.optim.SGD(parameters, self.lr, momentum=0.9, weight_decay=decay)
        elif self.settings.optimizer == "rmsprop":
            # The paper used the RMSprop of Keras, with smoothing 0.9 and epsilon 1e-7.
            optimizer = torch.optim.RMSprop(parameters, self.lr, alpha=0.9, eps=1e-7, weight_decay=decay)
        else:
            optimizer = torch.optim.AdamW(parameters, self.lr, weight_decay=decay)
        if self.settings.schedule == "constant":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        if steps <= 2:  # too few steps for a warm-up
            return optimizer
        # A short stage has a longer warm-up: PyTorch divides by (warm-up steps - 1), which must not be 0.
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.lr, total_steps=steps, pct_start=0.1 if steps > 20 else 0.5, cycle_momentum=False
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _equal_weight(number: int) -> float:
    return 1.0
