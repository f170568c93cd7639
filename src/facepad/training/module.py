"""The Lightning module: loss, optimiser, and which parts of the network learn in a stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from facepad.models import StagedModel
from facepad.training.data import to_input
from facepad.training.losses import DepthLoss, label_loss

__all__ = ["PadModule", "StageSettings"]

Optimizer = Literal["sgd", "rmsprop", "adamw"]
Schedule = Literal["constant", "one-cycle"]


@dataclass(frozen=True, slots=True)
class StageSettings:
    """One stage of training: what learns, how long, how fast.

    Attributes:
        name: What reports call it.
        trainable_from: Prefix of the first parameter that learns (such as ``head`` or ``features.12.conv.1``); all
            before it stay frozen. None trains everything.
        epochs: Passes over the training data, at most.
        optimizer: ``sgd`` (momentum 0.9), ``rmsprop`` or ``adamw``.
        lr: Learning rate; with ``find_lr`` only the value from before the search.
        schedule: ``constant``, or ``one-cycle`` (Smith 2018: warm-up over a tenth of the steps, cosine to nearly zero).
        weight_decay: L2 penalty (decoupled for ``adamw``).
        find_lr: Search the learning rate before the stage (Lightning's range test).
        patience: Stop when the dev loss has not fallen for so many epochs; None never stops early.
        batch_norm: ``frozen`` keeps the pre-trained trunk's batch norms in eval mode, ``update`` lets those of the
            learning part adapt. Those of parts that start at random always adapt.
        label_smoothing: Share in [0, 1) of each target that is moved to the middle.
    """

    name: str
    trainable_from: str | None
    epochs: int
    optimizer: Optimizer = "sgd"
    lr: float = 1e-4
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    find_lr: bool = False
    patience: int | None = None
    batch_norm: Literal["frozen", "update"] = "update"
    label_smoothing: float = 0.0


class _Mean(Metric):
    """Weighted mean over the batches of all processes.

    Lightning's own is off by rounding when their parts differ in size; torchmetrics' drops NaN, or else all weights.
    """

    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("weight", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, values: Tensor, weight: int) -> None:
        """Add values, each of which weighs as much."""
        self.total += values.sum() * weight
        self.weight += values.numel() * weight

    def compute(self) -> Tensor:
        """Of what came since the last reset."""
        return self.total / self.weight


class PadModule(pl.LightningModule):
    """Trains the part of a network that starts at ``start``, on its input there (pixels, or kept features).

    Args:
        model: The network; `StagedModel.freeze_before` has said what learns.
        settings: The stage.
        start: First stage that runs here; None takes pixels.
        class_weights: Loss weights (attack, bona fide).
        depth_loss: Of networks that give depth maps, when the batches hold some.
        share: Weight of a training batch by its number (`facepad.training.batches.Batches.share`); None weighs all
            the same.
        dev_share: The same of dev batches, of which only 0 matters: such a batch is not measured.
    """

    def __init__(
        self,
        model: StagedModel,
        settings: StageSettings,
        *,
        start: str | None = None,
        class_weights: tuple[float, float] = (1.0, 1.0),
        depth_loss: DepthLoss | None = None,
        share: Callable[[int], float] | None = None,
        dev_share: Callable[[int], float] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.start = start
        self.class_weights = class_weights
        self.depth_loss = depth_loss
        self.share = share
        self.dev_share = dev_share
        self.lr = settings.lr
        self.means: dict[str, _Mean] = {}

    def train(self, mode: bool = True) -> Self:
        """Training mode for what learns only: batch norm of frozen parts keeps its ImageNet statistics."""
        super().train(mode)
        if mode:
            for module in self._fixed_batch_norms():
                module.eval()
        return self

    def _fixed_batch_norms(self) -> Iterator[nn.Module]:
        for name, module in self.model.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                frozen = not any(parameter.requires_grad for parameter in module.parameters())
                kept = self.settings.batch_norm == "frozen" and not name.startswith(self.model.own)
                if frozen or kept:
                    yield module

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor | None:
        """One batch's loss; None, which skips the step, when it has no share or not one of its images could be read.

        With other processes there is no skipping: they wait for this one's gradient, which is zero then.
        """
        share = self.share(batch_idx) if self.share else 1.0
        share = share if len(batch[1]) else 0.0
        if not share and self.trainer.world_size == 1:
            return None
        return share * self._measure("train", batch, share, self.class_weights, self.settings.label_smoothing)

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        """Measures one dev batch's unweighted loss and accuracy (at P = 0.5)."""
        self._measure("dev", batch, self.dev_share(batch_idx) if self.dev_share else 1.0)

    def _measure(
        self,
        part: str,
        batch: tuple[Tensor, ...],
        share: float,
        class_weights: tuple[float, float] = (1.0, 1.0),
        smoothing: float = 0.0,
    ) -> Tensor:
        count = len(batch[1]) if share else 0
        if not len(batch[1]):  # not one could be read, which no process may skip alone
            batch = tuple(tensor.new_zeros(1, *tensor.shape[1:]) for tensor in batch)
        inputs, labels, *depth = batch
        if inputs.dtype == torch.uint8:  # crops: a quarter of the bytes to carry, and the device is quick to convert
            inputs = to_input(inputs).to(self.dtype)
        outputs = self.model.run(inputs, start=self.start)
        logits, maps = outputs if isinstance(outputs, tuple) else (outputs, None)
        loss = label_loss(logits, labels, class_weights=class_weights, smoothing=smoothing)
        if maps is not None and depth and self.depth_loss is not None:
            of_depth = self.depth_loss(maps, depth[0])
            self._add(f"{part}_depth_loss", of_depth, count)
            loss = loss + of_depth
        self._add(f"{part}_loss", loss, count)
        self._add(f"{part}_accuracy", ((logits >= 0) == (labels > 0.5)).float(), min(count, 1))
        return loss

    def _add(self, name: str, values: Tensor, weight: int) -> None:
        if name not in self.means:
            self.means[name] = _Mean().to(values.device)
        self.means[name].update(values.detach(), weight)

    def on_fit_start(self) -> None:
        """Forgets what a learning-rate search has measured."""
        for mean in self.means.values():
            mean.reset()

    def on_validation_epoch_end(self) -> None:
        """Logs the epoch's means over all samples, of every process; an epoch of training ends with its validation."""
        for name, mean in self.means.items():
            if mean.update_called:
                self.log(name, mean.compute(), prog_bar=True)
                mean.reset()

    def configure_optimizers(self) -> Any:
        """The stage's optimiser over what learns, with its schedule."""
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        decay = self.settings.weight_decay
        optimizer: torch.optim.Optimizer
        if self.settings.optimizer == "sgd":
            optimizer = torch.optim.SGD(parameters, self.lr, momentum=0.9, weight_decay=decay)
        elif self.settings.optimizer == "rmsprop":
            # Keras's RMSprop, which the paper used: its smoothing is 0.9 and its epsilon 1e-7.
            optimizer = torch.optim.RMSprop(parameters, self.lr, alpha=0.9, eps=1e-7, weight_decay=decay)
        else:
            optimizer = torch.optim.AdamW(parameters, self.lr, weight_decay=decay)
        if self.settings.schedule == "constant":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        if steps <= 2:  # nothing to warm up or cool down
            return optimizer
        # PyTorch divides by the warm-up's steps less one, which a tenth of ten steps would make zero.
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.lr, total_steps=steps, pct_start=0.1 if steps > 20 else 0.5, cycle_momentum=False
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
