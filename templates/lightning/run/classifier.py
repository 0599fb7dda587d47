"""The step: what is computed of a batch, and what is measured."""

from __future__ import annotations

from functools import partial
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor, nn

from data.images import Batch
from metrics import Meter
from metrics.measures import accuracy, top_k_acc
from model.loss import cross_entropy
from model.normalise import Normalise
from run.images import ImagesModule

_MEASURES = {"accuracy": accuracy, "top_k_acc": top_k_acc}


class Classifier(LightningModule):
    """A `network` that scores classes, trained by the cross entropy of its scores.

    Its optimizer and scheduler are the configuration's. The means lie on the device until an epoch ends, or somebody
    asks for `means`, so no step waits for them.
    """

    meter: Meter
    told: dict[str, float]  # the newest means by name

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.told = {}

    def setup(self, stage: str) -> None:
        """Learn to normalise from the training images; a checkpoint that is loaded later knows better."""
        trainer: Any = self.trainer
        data: ImagesModule = trainer.datamodule
        for layer in self.network.modules():
            if isinstance(layer, Normalise):
                layer.learn(data.split.train.sample())
        self.meter, self._judged = self._new_meter(), self._new_meter()

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores (logits) [B, classes] of `pixels` uint8 [B, C, H, W]."""
        scores: Tensor = self.network(pixels)
        return scores

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch, mean over its images, in nats."""
        return self._measured(batch, self.meter)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a batch that nothing is learnt from."""
        self._measured(batch, self._judged)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a batch that nothing was decided by."""
        self._measured(batch, self._judged)

    def on_train_epoch_end(self) -> None:
        """Tell Lightning, and so its loggers and callbacks, the means."""
        self._tell(self.meter, "")

    def on_validation_epoch_end(self) -> None:
        """The same of the validation."""
        self._tell(self._judged, "val_")

    def on_test_epoch_end(self) -> None:
        """The same of the test."""
        self._tell(self._judged, "test_")

    def _measured(self, batch: Batch, meter: Meter) -> Tensor:
        pixels, labels = batch
        scores = self(pixels)
        loss = cross_entropy(scores.float(), labels)
        meter.add(loss, scores, labels, len(labels))
        return loss

    def _tell(self, meter: Meter, prefix: str) -> None:
        means = {prefix + name: value for name, value in meter.means().items()}
        self.log_dict(means)
        self.told |= means
        meter.clear()

    def _new_meter(self) -> Meter:
        strategy = self.trainer.strategy
        total = partial(strategy.reduce, reduce_op="sum")
        return Meter(_MEASURES, strategy.root_device, lambda sums: total(sums.clone()))
