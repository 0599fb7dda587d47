"""Small data that lies where the model is, as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Images:
    """Images and what they show: `pixels` uint8 [N, C, H, W], `labels` int64 [N], both on one device."""

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
        for chosen in torch.split(order.to(self.labels.device), size):
            yield self.pixels[chosen], self.labels[chosen]


@dataclass(frozen=True)
class Split:
    """What is trained on, what decides which epoch was best, and what is looked at once, at the end."""

    train: Images
    validation: Images
    test: Images

    def to(self, device: torch.device) -> Split:
        """The same split on `device`."""
        return Split(self.train.to(device), self.validation.to(device), self.test.to(device))


def hold_out(images: Images, fraction: float, seed: int = 0) -> tuple[Images, Images]:
    """`images` in two parts, the second a random `fraction` of them: the same one for the same `seed`."""
    mixed = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    kept = len(images) - round(len(images) * fraction)
    return images.chosen(mixed[:kept]), images.chosen(mixed[kept:])
