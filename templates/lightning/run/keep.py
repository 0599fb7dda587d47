"""How a run is kept: its folder, metrics.jsonl, and checkpoints that hold all that decides how it goes on."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import distributed

from config import Diverged, Document, Refused, expect_same
from journal import Journal, Progress, describe_run, make_run_folder
from journal.whole import also_as, sweep, whole_file
from run.classifier import Classifier
from run.images import ImagesModule
from run.randomness import generators, restore_generators
from run.signals import Interrupted


class WholeFiles(TorchCheckpointIO):
    """Lightning's checkpoints, there whole or not at all."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; when this returns it is on the disk."""
        with whole_file(Path(path)) as file:
            torch.save(checkpoint, file)


class Run(Checkpoint):
    """Keeps a run in `save_dir`/`name`/RUN, a checkpoint an epoch and one every `save_steps` steps (0: none).

    The newest `keep` of them stay, and the best by `monitor` ("min val_loss", "max val_accuracy") as `best.ckpt`.
    metrics.jsonl gets a line an epoch, and one every `log_steps` steps. Lightning's own state is not enough to go on
    exactly: the generators, the means so far, the best weights and the lines written are added to it here.
    """

    def __init__(
        self,
        name: str = "digits",
        save_dir: str = "saved/",
        monitor: str = "min val_loss",
        keep: int = 3,
        save_steps: int = 0,
        log_steps: int = 50,
    ) -> None:
        self._name, self._save_dir, self._monitor, self._keep = name, save_dir, monitor, keep
        self._save_steps, self._log_steps = save_steps, log_steps
        self.checkpoint: Path | None = None  # what to go on from
        self.document: Document = {}  # the configuration
        self.signals: list[int] = []  # which came
        self.listeners: list[Callable[[dict[str, Any]], None]] = []  # who else is told each record
        self.best_model: dict[str, Any] | None = None
        self._best: list[Any] = [None, 0]  # the value and its epoch
        self._rate = 0.0
        self._own: dict[str, Any] | None = None  # what is to be taken up at the first step
        self._text = ""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write checkpoints our way."""
        trainer.strategy.checkpoint_io = WholeFiles()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the run's folder, or take the checkpoint's, and begin metrics.jsonl."""
        writes = trainer.is_global_zero
        new = make_run_folder(self._save_dir, self._name) if writes and not self.checkpoint else None
        self.folder = self.checkpoint.parent if self.checkpoint else Path(trainer.strategy.broadcast(str(new)))
        if writes:
            sweep(self.folder)
            describe_run(self.folder, self.document, trainer.strategy.root_device)
        self.journal = Journal(self.folder, self._text, writes)
        self.journal.listeners += self.listeners
        images, size = _data(trainer).counts
        self.progress = Progress(trainer.max_epochs or 0, images, trainer.global_step * size % images, 2 * writes)
        self.progress.say(f"run      {self.folder} · {images:,} images · on {trainer.strategy.root_device}")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Take up what Lightning would have begun anew, after all that draws numbers before the first step."""
        self._rate = trainer.optimizers[0].param_groups[0]["lr"]
        if self._own is not None:
            restore_generators(self._own["generators"])
            self._own = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record and save within an epoch; at its end it is done anyway. Raises Interrupted."""
        self.progress.step(trainer.current_epoch + 1, len(batch[1]) * trainer.world_size)
        if batch_idx + 1 == trainer.num_training_batches:
            return
        step = trainer.global_step
        if self._log_steps and step % self._log_steps == 0:
            self.journal.add({"epoch": trainer.current_epoch + 1, "step": step, **_classifier(pl_module).meter.means()})
        came = self._signal(trainer)
        if came or (self._save_steps and step % self._save_steps == 0):
            self._save(trainer, best=False)
        self._obey(trainer, came)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the epoch, judge it, and save. Raises Interrupted, Refused."""
        epoch = trainer.current_epoch + 1
        told = _classifier(pl_module).told
        means = {name: told[name] for name in sorted(told, key=lambda name: name.startswith("val_"))}
        record = {"epoch": epoch, "step": trainer.global_step, "epochs": trainer.max_epochs, **means, "lr": self._rate}
        if not math.isfinite(record["loss"]):
            raise Diverged(f"the loss of epoch {epoch} is {record['loss']}: a smaller learning rate may help")
        best = self._judge(record, pl_module)
        self.journal.add(record)
        self.progress.epoch(record)
        came = self._signal(trainer)
        self._save(trainer, best)
        self._obey(trainer, came)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the end of a run that was trained."""
        if not hasattr(self, "journal"):
            return
        means = {name: value for name, value in _classifier(pl_module).told.items() if name.startswith("test_")}
        self.progress.say("test     " + "  ".join(f"{name} {value:.4f}" for name, value in means.items()))
        last = trainer.current_epoch
        self.journal.add({"epoch": last, "step": trainer.global_step, "best_epoch": self._best[1] or last, **means})

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning leaves out; every process has generators and means of its own."""
        own = {"generators": generators(), "meter": _classifier(pl_module).meter.sums.cpu()}
        checkpoint["run"] = {
            "config": self.document,
            "journal": self.journal.text,
            "monitor": self._monitor,
            "best": self._best,
            "best_model": self.best_model,
            "stopped": trainer.should_stop,
            "processes": _from_all(trainer, own),
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on, where it is to be trained, from where `on_save_checkpoint` was called. Raises Refused."""
        if trainer.state.fn != "fit":
            return
        if "run" not in checkpoint:
            raise Refused(f"`{self.checkpoint}` is not a checkpoint of this project's kind")
        state = checkpoint["run"]
        expect_same(self.document, state["config"], free=("run", "trainer"))
        self._text = state["journal"]
        if state["monitor"] == self._monitor:  # else nothing compares with it
            self._best, self.best_model = state["best"], state["best_model"]
        trainer.should_stop = state["stopped"]
        if len(state["processes"]) == trainer.world_size:
            self._own = state["processes"][trainer.global_rank]
            _classifier(pl_module).meter.sums.copy_(self._own["meter"])
        elif trainer.is_global_zero:
            _classifier(pl_module).meter.sums.copy_(sum(own["meter"] for own in state["processes"]))

    def _judge(self, record: dict[str, Any], module: LightningModule) -> bool:
        """Whether the epoch is the best so far. Raises Refused."""
        goal, _, name = self._monitor.partition(" ")
        if goal not in ("min", "max") or name not in record:
            known = ", ".join(f"`{key}`" for key in record)
            raise Refused(f"`run.monitor` is `{self._monitor}` and must be `min` or `max` and one of {known}")
        if self._best[0] is not None and (record[name] >= self._best[0]) == (goal == "min"):
            return False
        self._best = [record[name], record["epoch"]]
        self.best_model = copy.deepcopy(module.state_dict())
        return True

    def _path(self, trainer: Trainer) -> Path:
        return self.folder / f"step-{trainer.global_step}.ckpt"

    def _save(self, trainer: Trainer, best: bool) -> None:
        path = self._path(trainer)
        trainer.save_checkpoint(path, weights_only=False)
        if not trainer.is_global_zero:
            return
        if best:
            also_as(path, self.folder / "best.ckpt")
        # Later ones are of a run that has gone back to an earlier checkpoint.
        done = [path for path in self.folder.glob("step-*.ckpt") if _step(path) <= trainer.global_step]
        for old in sorted(done, key=_step)[: -self._keep]:
            old.unlink(missing_ok=True)

    def _signal(self, trainer: Trainer) -> int:
        """The signal that came, here or to another process; 0: none."""
        found: int = max(_from_all(trainer, self.signals[0] if self.signals else 0))
        return found

    def _obey(self, trainer: Trainer, came: int) -> None:
        if came:
            raise Interrupted(came, f"python3 train.py fit -c config.json --ckpt_path {self._path(trainer)}")


def _classifier(module: LightningModule) -> Classifier:
    assert isinstance(module, Classifier)
    return module


def _data(trainer: Any) -> ImagesModule:
    data: ImagesModule = trainer.datamodule
    return data


def _from_all(trainer: Trainer, value: Any) -> list[Any]:
    """Every process's `value`, by their numbers."""
    if trainer.world_size == 1:
        return [value]
    values: list[Any] = [None] * trainer.world_size
    distributed.all_gather_object(values, value)
    return values


def _step(path: Path) -> int:
    number = path.stem.removeprefix("step-")
    return int(number) if number.isdigit() else 0
