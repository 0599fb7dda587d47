"""The switches of `speed` in the configuration, made into what torch wants to be told."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from config import Part, Refused, Speed

_FUSED = ("Adam", "AdamW", "SGD")  # the optimizers that torch has as one kernel, for GPUs and for the CPU
_CHOSEN = ("fused", "foreach", "differentiable")  # arguments of theirs by which somebody chose another way


def choose_precision(amp: str, device: torch.device) -> torch.dtype:
    """The type that products and convolutions are computed in; the weights stay float32."""
    if amp == "auto" and device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(amp, torch.float32)


def in_precision(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Within this context the layers that can compute in `precision` do."""
    return nullcontext() if precision is torch.float32 else torch.autocast(device.type, precision)


def make_scaler(device: torch.device, precision: torch.dtype) -> torch.amp.GradScaler:
    """What keeps small gradients of float16 from becoming 0; for other types it hands everything through."""
    return torch.amp.GradScaler(device.type, enabled=precision is torch.float16)


def allow_tf32(allowed: bool) -> None:
    """Let a GPU multiply float32 numbers with 10 bits of their fraction instead of 23, or forbid it."""
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed


def has_compiler() -> bool:
    """Whether this machine can build what torch.compile writes."""
    return any(shutil.which(name) for name in (os.environ.get("CXX") or "c++", "g++", "clang++", "cl"))


def compiled(network: nn.Module) -> Any:
    """`network`, compiled when it is first called, for each batch size anew. Raises Refused without a compiler."""
    if not has_compiler():
        raise Refused("`speed.compile` needs a C++ compiler and there is none: install g++, or set it to false")
    return torch.compile(network, dynamic=False)


def fused(optimizer: Part, speed: Speed) -> Part:
    """`optimizer` as one kernel, where torch has it so and the configuration does not choose otherwise."""
    if not speed.fused or optimizer.type not in _FUSED or any(name in optimizer.args for name in _CHOSEN):
        return optimizer
    return replace(optimizer, args={**optimizer.args, "fused": True})


def memory_format(speed: Speed) -> torch.memory_format:
    """How the convolutions' weights lie in memory; what they are given and give follows."""
    return torch.channels_last if speed.channels_last else torch.contiguous_format
