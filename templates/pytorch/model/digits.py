"""The model that the configuration trains unless told otherwise."""

from __future__ import annotations

from torch import Tensor, nn

from model.initial import initialise
from model.normalise import Normalise


class DigitsModel(nn.Module):
    """Two blocks of convolutions, each halving the image, and a linear layer that scores the ten digits.

    Images have `channels` (1: grey) and `size` by `size` pixels, a multiple of 4, and show one of `classes`. `width` is
    the number of channels of the first block; `dropout` (a probability) and `batch_norm` are switches: what is off is
    an `nn.Identity`, so `forward` reads the same and the layers keep their names.
    """

    def __init__(
        self,
        width: int = 32,
        classes: int = 10,
        size: int = 8,
        channels: int = 1,
        dropout: float = 0.2,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.stem = _block(channels, width, batch_norm)
        self.body = _block(width, 2 * width, batch_norm)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.head = nn.Linear(2 * width * (size // 4) ** 2, classes)
        self.apply(initialise)

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores (logits, no unit) float32 [B, classes] of `pixels` uint8 [B, channels, size, size]."""
        image = self.normalise(pixels)  # [B, channels, size, size]
        features = self.body(self.stem(image))  # [B, 2 width, size / 4, size / 4]
        scores: Tensor = self.head(self.dropout(features.flatten(1)))
        return scores


def _block(channels_in: int, channels_out: int, batch_norm: bool) -> nn.Sequential:
    """[B, channels_in, H, W] to [B, channels_out, H / 2, W / 2]."""
    return nn.Sequential(
        _convolution(channels_in, channels_out, batch_norm),
        _convolution(channels_out, channels_out, batch_norm),
        nn.MaxPool2d(2),
    )


def _convolution(channels_in: int, channels_out: int, batch_norm: bool) -> nn.Sequential:
    norm = nn.BatchNorm2d(channels_out) if batch_norm else nn.Identity()
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=not batch_norm), norm, nn.ReLU())
