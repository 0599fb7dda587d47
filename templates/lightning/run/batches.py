"""Batches in an order that can be taken up in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from data.images import Batch, Source
from data.order import epoch_order


class Batches:
    """A loader for Lightning over `images`, of which this process, number `rank` of `world`, shows its share.

    The order of an epoch is a function of the seed and the epoch's number alone, so where it is, two numbers, is all of
    its state: Lightning takes `state_dict()` into its checkpoints and calls `set_epoch` through `sampler`.
    """

    batch_sampler = None  # Lightning asks for one of whatever has a sampler

    def __init__(self, images: Source, size: int, seed: int | None, rank: int = 0, world: int = 1) -> None:
        """`size` images a batch, all processes together; a `seed` of None is the images' own order."""
        self._images, self._size, self._seed, self._rank, self._world = images, size, seed, rank, world
        self._epoch, self._shown = 0, 0

    @property
    def sampler(self) -> Batches:
        """What Lightning tells each epoch's number."""
        return self

    def __len__(self) -> int:
        """Batches of a whole epoch, also when this one was begun before."""
        return -(-len(self._images) // self._size)

    def __iter__(self) -> Iterator[Batch]:
        order = epoch_order(len(self._images), self._seed is not None, self._seed or 0, self._epoch + 1)
        order = torch.cat([order, order[: -len(order) % self._world]])  # so that all processes take as many steps
        share = order[self._shown * self._size :][self._rank :: self._world]
        for batch in self._images.batches(share, self._size // self._world):
            self._shown += 1
            yield batch
        self._shown = 0

    def set_epoch(self, epoch: int) -> None:
        """Show the order of `epoch`, from 0, when next asked."""
        if epoch != self._epoch:
            self._epoch, self._shown = epoch, 0

    def state_dict(self) -> dict[str, int]:
        """Which batch is next."""
        if self._shown == len(self):
            return {"epoch": self._epoch + 1, "shown": 0}
        return {"epoch": self._epoch, "shown": self._shown}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where `state_dict()` was called."""
        self._epoch, self._shown = state["epoch"], state["shown"]
