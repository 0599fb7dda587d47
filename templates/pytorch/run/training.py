"""Where a run is: all that decides how it goes on."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import Any

import torch

from config import Config
from metrics import Meter
from run.parts import Parts
from run.processes import count, from_all, number, total
from run.randomness import generators, restore_generators, seed_generators


class Training:
    """A run at one of its steps. `state()` tells all of it and `load()` goes on from there, bit for bit.

    `epoch` is the one being trained, `batches` are those done of it, `step` counts batches since the run began. `best`
    is the best value so far of what is monitored, `best_model` the weights that gave it, `waited` the epochs since.
    """

    def __init__(self, config: Config, parts: Parts) -> None:
        self.config, self.parts = config, parts
        self.meter = Meter(parts.measures, parts.device, total)
        self.epoch, self.batches, self.step = 1, 0, 0
        self.best: float | None = None
        self.best_epoch, self.waited = 0, 0
        self.best_model: dict[str, Any] | None = None

    @property
    def over(self) -> bool:
        """Whether all epochs are done, or waiting for a better one was in vain."""
        limits = self.config.trainer
        return self.epoch > limits.epochs or bool(limits.early_stop and self.waited >= limits.early_stop)

    @property
    def seed(self) -> int:
        """What the order of the images is drawn from."""
        return self.config.seed

    def judge(self, record: dict[str, float]) -> bool:
        """Whether the epoch's means are the best so far; counts those that are not. Raises KeyError."""
        goal, _, name = self.config.trainer.monitor.partition(" ")
        if goal == "off":
            return False
        value = record[name]
        if self.best is None or (value > self.best if goal == "max" else value < self.best):
            self.best, self.best_epoch, self.waited = value, self.epoch, 0
            self.best_model = copy.deepcopy(self.parts.model.state_dict())
            return True
        self.waited += 1
        return False

    def state(self) -> dict[str, Any]:
        """Tensors on the CPU and plain values, none shared with the run: it may go on while they are written."""
        parts = self.parts
        live = {
            "config": asdict(self.config),
            "position": [self.epoch, self.batches, self.step],
            "model": parts.model.state_dict(),
            "optimizer": parts.optimizer.state_dict(),
            "scheduler": parts.scheduler.state_dict() if parts.scheduler else None,
            "scaler": parts.scaler.state_dict(),
            "best": [self.best, self.best_epoch, self.waited],
            "best_model": self.best_model,
            "processes": from_all({"meter": self.meter.sums, "generators": generators()}),
        }
        copied: dict[str, Any] = _on_cpu(live)
        return copied

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state()` was called."""
        parts = self.parts
        self.epoch, self.batches, self.step = state["position"]
        parts.model.load_state_dict(state["model"])
        parts.optimizer.load_state_dict(state["optimizer"])
        if parts.scheduler:
            parts.scheduler.load_state_dict(state["scheduler"])
        if state["scaler"]:  # the GPU before may have had a precision that needs none
            parts.scaler.load_state_dict(state["scaler"])
        if state["config"]["trainer"]["monitor"] == self.config.trainer.monitor:  # else nothing compares with it
            self.best, self.best_epoch, self.waited = state["best"]
            self.best_model = state["best_model"]
        self._load_own(state["processes"])

    def _load_own(self, states: list[dict[str, Any]]) -> None:
        """Go on as this process, or, where there were more or fewer of them, with generators that begin anew."""
        if len(states) == count():
            self.meter.sums.copy_(states[number()]["meter"])
            restore_generators(states[number()]["generators"])
            return
        if number() == 0:
            self.meter.sums.copy_(torch.stack([state["meter"] for state in states]).sum(0))
        seed_generators(self.config.seed + self.step * count() + number(), self.config.deterministic)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _on_cpu(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on_cpu(entry) for entry in value)
    return value
