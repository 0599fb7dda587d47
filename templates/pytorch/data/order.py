"""In which order an epoch shows the images."""

from __future__ import annotations

import torch
from torch import Tensor


def epoch_order(count: int, shuffle: bool, seed: int, epoch: int) -> Tensor:
    """The indices of `count` images [count], as `epoch` (from 1) shows them.

    A function of its arguments alone: a run that goes on in the middle of an epoch computes the same order and
    leaves out what it has seen, so the sampler's whole state is one number.
    """
    if not shuffle:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))


def in_batches(order: Tensor, size: int) -> tuple[Tensor, ...]:
    """`order` in pieces of `size`, the last one of what is left; none where there is nothing."""
    return torch.split(order, size) if len(order) else ()
