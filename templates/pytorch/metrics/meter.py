"""Means over an epoch that no step waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Measure = Callable[[Tensor, Tensor], Tensor]


class Meter:
    """The loss and some measures, averaged over images; the sums lie on the device until somebody asks."""

    def __init__(self, measures: Mapping[str, Measure], device: torch.device) -> None:
        self.measures = measures
        self.sums = torch.zeros(1 + len(measures), device=device)
        self.images = 0

    @torch.no_grad()
    def add(self, loss: Tensor, scores: Tensor, labels: Tensor) -> None:
        """Count a batch: its mean `loss` [], its `scores` [B, classes] and `labels` [B]."""
        means = [loss, *(torch.as_tensor(measure(scores, labels)) for measure in self.measures.values())]
        self.sums += torch.stack([mean.detach().to(self.sums) for mean in means]) * len(labels)
        self.images += len(labels)

    def means(self) -> dict[str, float]:
        """The means so far, by name; waits for the device."""
        names = ["loss", *self.measures]
        return dict(zip(names, (self.sums / max(self.images, 1)).tolist(), strict=True))

    def clear(self) -> None:
        """Begin anew."""
        self.sums.zero_()
        self.images = 0
