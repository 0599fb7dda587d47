"""Losses: a function of what the model gives [B, classes] and the labels int64 [B], to one number."""

from __future__ import annotations

from torch import Tensor


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """The mean over the batch of -log p(label), in nats, for a model that gives scores (logits)."""
    return nll_loss(scores.log_softmax(dim=1), labels)


def nll_loss(log_probabilities: Tensor, labels: Tensor) -> Tensor:
    """The mean over the batch of -log p(label), in nats, for a model that gives log-probabilities.

    `gather` picks from each row the column that its label names: [B, classes] and [B, 1] to [B, 1].
    """
    of_label = log_probabilities.gather(1, labels.unsqueeze(1))
    return -of_label.mean()
