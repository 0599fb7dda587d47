"""Which classes are taken for which."""

from __future__ import annotations

import torch
from torch import Tensor


def confusion(scores: Tensor, labels: Tensor) -> Tensor:
    """How many images of each label (row) got each answer (column): int64 [classes, classes].

    `scores` [B, classes], `labels` int64 [B]. A pair (label, answer) is one number below classes squared; those are
    counted.
    """
    classes = scores.shape[1]
    pairs = labels * classes + scores.argmax(dim=1)
    return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)
