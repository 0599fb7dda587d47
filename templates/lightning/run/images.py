"""The images of a run, as Lightning wants them."""

from __future__ import annotations

from typing import Protocol

from lightning.pytorch import LightningDataModule

from config import Refused
from data.images import Source, Split
from run.batches import Batches


class Loader(Protocol):
    """A class of `data`."""

    batch_size: int
    shuffle: bool

    def read(self) -> Split:
        """What to train, to validate and to test on."""


class ImagesModule(LightningDataModule):
    """What a `loader` of `data` reads: uint8 pixels, on the device that trains where they fit into memory."""

    split: Split

    def __init__(self, loader: Loader) -> None:
        super().__init__()
        self._loader = loader
        self.seed = 0

    def setup(self, stage: str) -> None:
        """Read the images, once. Raises Refused."""
        if hasattr(self, "split"):
            return
        assert self.trainer is not None
        world = self.trainer.world_size
        if self._loader.batch_size % world:
            raise Refused(f"`batch_size` must be a multiple of {world}: the processes share each batch")
        self.split = self._loader.read().to(self.trainer.strategy.root_device)

    @property
    def counts(self) -> tuple[int, int]:
        """Images of an epoch, and of a batch of all processes together."""
        return len(self.split.train), self._loader.batch_size

    def train_dataloader(self) -> Batches:
        """The training images, each epoch in an order of its own."""
        return self._batches(self.split.train, self._loader.batch_size, self.seed if self._loader.shuffle else None)

    def val_dataloader(self) -> Batches:
        """What decides which epoch was best."""
        return self._batches(self.split.validation, 4 * self._loader.batch_size, None)

    def test_dataloader(self) -> Batches:
        """What is looked at once, at the end."""
        return self._batches(self.split.test, 4 * self._loader.batch_size, None)

    def _batches(self, images: Source, size: int, seed: int | None) -> Batches:
        assert self.trainer is not None
        return Batches(images, size, seed, self.trainer.global_rank, self.trainer.world_size)
