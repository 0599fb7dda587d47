"""Measures that the configuration may name: of scores [B, classes] and labels int64 [B], the batch's mean.

Each gives a tensor and leaves it on its device; asking for the number (`.item()`) would make every step wait.
"""

from __future__ import annotations

from torch import Tensor


def accuracy(scores: Tensor, labels: Tensor) -> Tensor:
    """The share of images whose highest score is the label's."""
    return (scores.argmax(dim=1) == labels).float().mean()


def top_k_acc(scores: Tensor, labels: Tensor, k: int = 3) -> Tensor:
    """The share of images whose label is among the `k` highest scores; all of them where there are fewer classes."""
    highest = scores.topk(min(k, scores.shape[1]), dim=1).indices  # [B, k]
    return (highest == labels.unsqueeze(1)).any(dim=1).float().mean()
