"""What a configuration is made into."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim
from torch.nn import functional
from torch.optim import lr_scheduler

import data
import model
from config import Config, find, make
from data.images import Split
from metrics import Measure, measures
from model import loss
from model.normalise import Normalise
from run.processes import parallel, with_common_batch_norm
from run.speed import allow_tf32, choose_precision, compiled, fused, make_scaler, memory_format

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Parts:
    """The things that train together, all on `device`. `scheduler` is stepped once an epoch.

    `forward` is the model as training calls it: itself, or in parallel, or compiled. Products are in `precision`.
    """

    device: torch.device
    split: Split
    batch_size: int
    shuffle: bool
    model: nn.Module
    forward: Callable[[Tensor], Tensor]
    precision: torch.dtype
    scaler: torch.amp.GradScaler
    loss: Loss
    measures: dict[str, Measure]
    optimizer: optim.Optimizer
    scheduler: lr_scheduler.LRScheduler | None


def choose_device(n_gpu: int, devices: str | None) -> torch.device:
    """A GPU where the configuration wants one and there is one; `devices` as on the command line."""
    if devices == "cpu":
        return torch.device("cpu")
    if devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices  # read when the GPU is first used
    if not n_gpu or not torch.cuda.is_available():
        return torch.device("cpu")
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))  # torchrun: which process of this machine
    return torch.device("cuda", torch.cuda.current_device())


def make_parts(config: Config, device: torch.device) -> Parts:
    """Everything that `config` names. Raises Refused, naming the place in it that is wrong."""
    speed = config.speed
    allow_tf32(speed.tf32)
    loader = make(config.data_loader, data, "data_loader")
    split = loader.read()
    network = make(config.arch, model, "arch")
    for layer in network.modules():
        if isinstance(layer, Normalise):
            layer.learn(split.train.sample())
    network = with_common_batch_norm(network.to(device, memory_format=memory_format(speed)), device)
    forward = parallel(network, device)
    precision = choose_precision(speed.amp, device)
    optimizer = make(fused(config.optimizer, speed), optim, "optimizer", network.parameters())
    return Parts(
        device=device,
        split=split.to(device),
        batch_size=loader.batch_size,
        shuffle=loader.shuffle,
        model=network,
        forward=compiled(forward) if speed.compile else forward,
        precision=precision,
        scaler=make_scaler(device, precision),
        loss=find([loss, functional], config.loss, "loss"),
        measures={name: find([measures], name, f"metrics[{n}]") for n, name in enumerate(config.metrics)},
        optimizer=optimizer,
        scheduler=make(config.lr_scheduler, lr_scheduler, "lr_scheduler", optimizer) if config.lr_scheduler else None,
    )
