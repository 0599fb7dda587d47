"""Means over an epoch that no step waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Measure = Callable[[Tensor, Tensor], Tensor]


class Meter:
    """The loss and some measures, averaged over images; the sums lie on the device until somebody asks.

    `total` adds up the sums of all processes that train together.
    """

    def __init__(
        self, measures: Mapping[str, Measure], device: torch.device, total: Callable[[Tensor], Tensor]
    ) -> None:
        self.measures, self._total = measures, total
        self._one = torch.ones((), device=device)
        self.sums = torch.zeros(2 + len(measures), dtype=torch.float64, device=device)  # the last: how many images

    @torch.no_grad()
    def add(self, loss: Tensor, scores: Tensor, labels: Tensor, images: int) -> None:
        """Count a batch of so many `images`: its mean `loss` [], its `scores` [B, classes] and `labels` [B]."""
        means = [loss, *(torch.as_tensor(measure(scores, labels)) for measure in self.measures.values()), self._one]
        self.sums.add_(torch.stack([mean.detach().to(self._one) for mean in means]), alpha=images)

    def means(self) -> dict[str, float]:
        """The means so far, by name; waits for the device, and for the other processes."""
        *sums, images = self._total(self.sums).tolist()
        return {name: entry / max(images, 1) for name, entry in zip(["loss", *self.measures], sums, strict=True)}

    def clear(self) -> None:
        """Begin anew."""
        self.sums.zero_()
