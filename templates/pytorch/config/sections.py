"""What `config.json` may say: one dataclass a section, a comment for each key, and its default where it has one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from config.checked import AtLeast, Like

Count = Annotated[int, AtLeast(0)]
Positive = Annotated[int, AtLeast(1)]


@dataclass(frozen=True)
class Part:
    """A class by its name, and the keyword arguments it is made with."""

    type: str
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Speed:
    """How the arithmetic is done. Runs that differ here end with other bits, and should end equally well."""

    # Numbers of 16 bits where they suffice. auto: bf16 on a GPU that has it, fp16 on any other, none on the CPU.
    amp: Annotated[str, Like("off|auto|bf16|fp16", '"off", "auto", "bf16" or "fp16"')] = "off"
    tf32: bool = False  # products of float32 with 10 bits of fraction, on GPUs since 2020
    channels_last: bool = False  # a pixel's channels side by side in memory: faster convolutions
    compile: bool = False  # torch.compile: the first steps wait for a compiler, all others are faster
    fused: bool = True  # the optimizer as one kernel, where it has one


@dataclass(frozen=True)
class Trainer:
    """How long to train, what to write where, and when to stop."""

    epochs: Positive
    save_dir: str = "saved/"
    save_period: Positive = 1  # epochs from one checkpoint to the next
    save_steps: Count = 0  # steps from one checkpoint to the next within an epoch; 0: none
    save_minutes: Count = 0  # and so many minutes after the last one; 0: none
    keep: Positive = 3  # how many checkpoints stay: the newest
    log_steps: Count = 50  # steps from one record to the next within an epoch; 0: none
    verbosity: Count = 2  # 0: silent; 1: a line an epoch; 2: and a progress line on a terminal
    monitor: Annotated[str, Like(r"off|(min|max) \S+", '"max val_accuracy", "min val_loss" or "off"')] = "off"
    early_stop: Count = 0  # epochs without a better value after which to stop; 0: never
    tensorboard: bool = False  # the metrics for TensorBoard too, where it is installed
    plots: bool = False  # curves.png and confusion.png at the end, where matplotlib is installed


@dataclass(frozen=True)
class Config:
    """A whole configuration. Two runs of equal ones on one machine end with the same bits."""

    name: str
    arch: Part  # a class of `model`
    data_loader: Part  # a class of `data`
    optimizer: Part  # a class of `torch.optim`
    loss: str  # a function of `model.loss`, or of `torch.nn.functional`
    trainer: Trainer
    metrics: list[str] = field(default_factory=list)  # functions of `metrics.measures`
    lr_scheduler: Part | None = None  # a class of `torch.optim.lr_scheduler`, stepped once an epoch
    speed: Speed = field(default_factory=Speed)
    n_gpu: Count = 1  # 0: the CPU; 1: a GPU where there is one
    seed: Count = 1
    deterministic: bool = True  # only algorithms that give the same bits each time; a little slower on a GPU
