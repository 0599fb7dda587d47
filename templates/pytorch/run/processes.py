"""Several processes that train together, as `torchrun --nproc-per-node=2 train.py` starts them: one a GPU.

https://docs.pytorch.org/docs/stable/elastic/run.html tells each process its number in the environment. A process that
runs alone is number 0 of 1, and none of this does anything.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from config import Refused
from data.order import in_batches

T = TypeVar("T")


def number() -> int:
    """Which of the processes this one is, from 0; number 0 writes files and talks."""
    return int(os.environ.get("RANK", "0"))


def count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def together() -> Iterator[None]:
    """Meet the other processes, and part from them in the end.

    What the run made must be gone by then: while it lives, so do threads of torch's, and one that is still busy when
    Python ends aborts the process.
    """
    if count() == 1:
        yield
        return
    distributed.init_process_group()
    try:
        yield
    finally:
        gc.collect()
        distributed.destroy_process_group()


def parallel(network: nn.Module, device: torch.device) -> nn.Module:
    """`network` so that each backward pass leaves the mean of all processes' gradients."""
    if count() == 1:
        return network
    return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)


def with_common_batch_norm(network: nn.Module, device: torch.device) -> nn.Module:
    """`network`, its batch norms taking the statistics of all processes' images; on the CPU torch has no such thing."""
    if count() == 1 or device.type != "cuda":
        return network
    made: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return made


class Portion(NamedTuple):
    """Of a batch of `whole` images, `own` are this process's."""

    own: int
    whole: int

    @property
    def weight(self) -> float:
        """What the mean over the own images counts in the mean of all processes' means."""
        return self.own * count() / self.whole


class Share(NamedTuple):
    """The images of this process: `order`, so many a batch, and what portion of each batch they are."""

    order: Tensor
    size: int
    portions: list[Portion]


def own_share(order: Tensor, size: int) -> Share:
    """This process's share of `order`, in batches of `size` that are shared by all. Raises Refused.

    Where the last batch has fewer images than there are processes, some have none of their own: they look at
    another's, which then counts nothing, because all must take the same number of steps.
    """
    if size % count():
        raise Refused(f"`data_loader.args.batch_size` must be a multiple of {count()}: the processes share each batch")
    wholes = [len(batch) for batch in in_batches(order, size)]
    own = order[number() :: count()]
    if wholes and wholes[-1] <= number():
        own = torch.cat([own, order[-1:]])
    return Share(own, size // count(), [Portion(len(range(number(), whole, count())), whole) for whole in wholes])


def total(sums: Tensor) -> Tensor:
    """The sum of all processes' `sums`."""
    if count() == 1:
        return sums
    summed = sums.clone()
    distributed.all_reduce(summed)
    return summed


def highest(value: int) -> int:
    """The highest of all processes' `value`."""
    if count() == 1:
        return value
    found = torch.tensor(value)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return int(found)


def from_all(value: T) -> list[T]:
    """Every process's `value`, by their numbers."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    distributed.all_gather_object(values, value)
    return values


def align_buffers(network: nn.Module) -> None:
    """Take process 0's buffers, such as batch norm's running statistics, which each has of its own images."""
    if count() > 1:
        for buffer in network.buffers():
            distributed.broadcast(buffer, 0)
