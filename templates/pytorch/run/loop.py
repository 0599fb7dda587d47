"""The loop: epochs, steps, validation, and when to write what."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from typing import Any

from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from config import Diverged, Refused
from data.order import epoch_order
from journal import Journal, Progress, board, draw
from run.checkpoint import Checkpoints
from run.evaluation import count_confusions, evaluate
from run.processes import Portion, count, highest, own_share
from run.signals import Interrupted, noted_signals
from run.speed import in_precision
from run.training import Training


def run(training: Training, journal: Journal) -> dict[str, Any]:
    """Train until the run is over, test, and return the last record. Raises Interrupted, Refused."""
    limits, images = training.config.trainer, len(training.parts.split.train)
    seen = training.batches * training.parts.batch_size
    progress = Progress(limits.epochs, images, seen, limits.verbosity if journal.writes else 0)
    progress.say(f"run      {journal.path.parent} · {images:,} images · on {training.parts.device}")
    with ExitStack() as stack:
        if limits.tensorboard and journal.writes:
            journal.listeners.append(stack.enter_context(board(journal.path.parent, training.step)))
        checkpoints = stack.enter_context(Checkpoints(journal.path.parent, limits.keep, journal.writes))
        loop = Loop(training, journal, checkpoints, progress, stack.enter_context(noted_signals()))
        while not training.over:
            loop.train_epoch()
            loop.end_epoch()
        record = loop.test()
        checkpoints.wait()
    if limits.plots and len(training.parts.split.test) >= count():
        confusions = count_confusions(training, training.parts.split.test)
        if journal.writes:
            draw(journal.path.parent, journal.text, confusions)
    progress.say("test     " + "  ".join(f"{name} {record[name]:.4f}" for name in record if name.startswith("test_")))
    return record


class Loop:
    """One run's loop, and where it writes."""

    def __init__(
        self, training: Training, journal: Journal, checkpoints: Checkpoints, progress: Progress, signals: list[int]
    ) -> None:
        self.training, self.journal, self.checkpoints = training, journal, checkpoints
        self.progress, self.signals = progress, signals
        self._saved = time.monotonic()

    def train_epoch(self) -> None:
        """What is left of the epoch. Raises Interrupted."""
        training, parts = self.training, self.training.parts
        order = epoch_order(len(parts.split.train), parts.shuffle, training.seed, training.epoch)
        share = own_share(order[training.batches * parts.batch_size :], parts.batch_size)
        parts.model.train()
        batches = parts.split.train.batches(share.order, share.size)
        for (pixels, labels), portion in zip(batches, share.portions, strict=True):
            self._step(pixels, labels, portion)
            self.progress.step(training.epoch, portion.whole)
            if training.batches * parts.batch_size < len(order):  # at the epoch's end the rest is said and saved anyway
                self._within_epoch()

    def end_epoch(self) -> None:
        """Validate, judge, record, and write a checkpoint where one is due. Raises Interrupted, Refused."""
        training, limits = self.training, self.training.config.trainer
        means = training.meter.means()
        if not math.isfinite(means["loss"]):
            raise Diverged(f"the loss of epoch {training.epoch} is {means['loss']}: a smaller learning rate may help")
        validated = evaluate(training, training.parts.split.validation, "val_")
        record: dict[str, Any] = {**self._position(), "epochs": limits.epochs}
        record |= means | validated | {"lr": training.parts.optimizer.param_groups[0]["lr"]}
        best = self._judge(record)
        _step_scheduler(training, record)
        self.journal.add(record)
        self.progress.epoch(record)
        training.meter.clear()
        due = training.epoch % limits.save_period == 0
        training.epoch, training.batches = training.epoch + 1, 0
        signal_number = self._signal()
        if due or best or training.over or signal_number:
            self._save(best)
        self._obey(signal_number)

    def test(self) -> dict[str, Any]:
        """Measure the best weights, or the last where nothing is monitored, on what was never trained on."""
        training = self.training
        if training.best_model is not None:
            training.parts.model.load_state_dict(training.best_model)
        tested = evaluate(training, training.parts.split.test, "test_")
        last = training.epoch - 1
        record = {"epoch": last, "step": training.step, "best_epoch": training.best_epoch or last, **tested}
        self.journal.add(record)
        return record

    def _step(self, pixels: Tensor, labels: Tensor, portion: Portion) -> None:
        training, parts = self.training, self.training.parts
        parts.optimizer.zero_grad(set_to_none=True)
        with in_precision(parts.device, parts.precision):
            scores = parts.forward(pixels)
            loss = parts.loss(scores, labels)
        parts.scaler.scale(loss * portion.weight).backward()  # type: ignore[no-untyped-call]
        parts.scaler.step(parts.optimizer)
        parts.scaler.update()
        training.meter.add(loss, scores, labels, portion.own)
        training.step += 1
        training.batches += 1

    def _within_epoch(self) -> None:
        training, limits = self.training, self.training.config.trainer
        if limits.log_steps and training.step % limits.log_steps == 0:
            self.journal.add({**self._position(), **training.meter.means()})
        signal_number = self._signal()
        if signal_number or (limits.save_steps and training.step % limits.save_steps == 0) or self._waited():
            self._save(best=False)
        self._obey(signal_number)

    def _waited(self) -> bool:
        """Whether the last checkpoint is too long ago, by any process's clock: all must save together."""
        minutes = self.training.config.trainer.save_minutes
        return bool(minutes and highest(time.monotonic() - self._saved >= 60 * minutes))

    def _position(self) -> dict[str, int]:
        """Epoch, and the steps and images since the run's beginning."""
        training, parts = self.training, self.training.parts
        count = len(parts.split.train)
        images = (training.epoch - 1) * count + min(training.batches * parts.batch_size, count)
        return {"epoch": training.epoch, "step": training.step, "images": images}

    def _judge(self, record: dict[str, Any]) -> bool:
        try:
            return self.training.judge(record)
        except KeyError as name:
            known = ", ".join(f"`{key}`" for key in record)
            raise Refused(f"`trainer.monitor`: nothing is called {name.args[0]!r}; there are {known}") from None

    def _save(self, best: bool) -> None:
        state = {**self.training.state(), "journal": self.journal.text}
        self.checkpoints.save(state, self.training.step, best)
        self._saved = time.monotonic()

    def _signal(self) -> int:
        """The signal that came, here or to another process; 0: none."""
        return highest(self.signals[0] if self.signals else 0)

    def _obey(self, signal_number: int) -> None:
        if signal_number:
            self.checkpoints.wait()
            raise Interrupted(signal_number, f"python3 train.py -r {self.checkpoints.path(self.training.step)}")


def _step_scheduler(training: Training, record: dict[str, Any]) -> None:
    scheduler = training.parts.scheduler
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(record.get("val_loss", record["loss"]))
    elif scheduler:
        scheduler.step()
