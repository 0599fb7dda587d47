"""The weights that a model begins with."""

from __future__ import annotations

from torch import nn


def initialise(layer: nn.Module) -> None:
    """Give a new `layer` its first weights, in place; to be handed to `model.apply`, which visits every layer.

    He's initialisation keeps the spread of the activations from layer to layer where ReLU halves it
    (He et al. 2015, https://arxiv.org/abs/1502.01852).
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
