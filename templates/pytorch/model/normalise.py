"""Pixels as they are, into numbers of mean 0 and spread 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """Subtract the training images' mean and divide by their spread.

    Both are buffers: they are not learnt by gradient, but they are part of the model, go to its device and into its
    checkpoints, so whoever loads the weights normalises as the training did.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(0.0))  # in units of a pixel
        self.register_buffer("spread", torch.tensor(1.0))  # standard deviation, in units of a pixel

    def learn(self, pixels: Tensor) -> None:
        """Take the statistics of `pixels` uint8 [N, C, H, W]."""
        counts = torch.bincount(pixels.flatten(), minlength=256).double()  # how often each of the 256 values occurs
        values, total = torch.arange(256).double(), counts.sum()
        mean = (counts * values).sum() / total
        self.mean.copy_(mean)
        self.spread.copy_(((counts * (values - mean) ** 2).sum() / total).sqrt().clamp(min=1e-6))

    def forward(self, pixels: Tensor) -> Tensor:
        """`pixels` uint8 [B, C, H, W] as float32 of the same shape, without a unit."""
        return (pixels.float() - self.mean) / self.spread
