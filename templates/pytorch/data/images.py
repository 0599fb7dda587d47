"""Images to train on, and the small ones that lie where the model is, as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from data.order import in_batches

Batch = tuple[Tensor, Tensor]  # pixels uint8 [B, C, H, W] and labels int64 [B], on the device that trains


class Source(Protocol):
    """Images and what they show, wherever they lie."""

    def __len__(self) -> int: ...

    def to(self, device: torch.device) -> Source:
        """The same images, their batches on `device`."""

    def batches(self, order: Tensor, size: int) -> Iterator[Batch]:
        """The images that `order` names, `size` at a time."""

    def sample(self) -> Tensor:
        """Pixels of enough images to tell their mean and spread, on the CPU."""


@dataclass(frozen=True)
class Images:
    """A Source in memory: `pixels` uint8 [N, C, H, W], `labels` int64 [N], both on one device."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Images:
        """The same images on `device`."""
        return Images(self.pixels.to(device), self.labels.to(device))

    def chosen(self, indices: Tensor) -> Images:
        """The images at `indices` [M]."""
        return Images(self.pixels[indices], self.labels[indices])

    def batches(self, order: Tensor, size: int) -> Iterator[Batch]:
        """The images that `order` names, `size` at a time; gathered on the device, so nothing waits for a disk."""
        for chosen in in_batches(order.to(self.labels.device), size):
            yield self.pixels[chosen], self.labels[chosen]

    def sample(self) -> Tensor:
        """All pixels."""
        return self.pixels.cpu()


@dataclass(frozen=True)
class Split:
    """What is trained on, what decides which epoch was best, and what is looked at once, at the end."""

    train: Source
    validation: Source
    test: Source

    def to(self, device: torch.device) -> Split:
        """The same split on `device`."""
        return Split(self.train.to(device), self.validation.to(device), self.test.to(device))


def hold_out(images: Images, fraction: float, seed: int = 0) -> tuple[Images, Images]:
    """`images` in two parts, the second a random `fraction` of them: the same one for the same `seed`."""
    kept, held = held_out(len(images), fraction, seed)
    return images.chosen(kept), images.chosen(held)


def held_out(count: int, fraction: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The indices of `count` images in two parts, the second a random `fraction` of them."""
    mixed = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    kept = count - round(count * fraction)
    return mixed[:kept], mixed[kept:]
