"""The small network that the PyTorch examples train on MNIST."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from model.normalise import Normalise


class MnistModel(nn.Module):
    """Two convolutions, two linear layers and dropout for images of 28x28."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.dropout = nn.Dropout2d()
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, num_classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Log-probabilities float32 [B, num_classes] of `pixels` uint8 [B, 1, 28, 28]."""
        image = self.normalise(pixels)
        image = functional.relu(functional.max_pool2d(self.conv1(image), 2))  # [B, 10, 12, 12]
        image = functional.relu(functional.max_pool2d(self.dropout(self.conv2(image)), 2))  # [B, 20, 4, 4]
        hidden = functional.dropout(functional.relu(self.fc1(image.flatten(1))), training=self.training)  # [B, 50]
        return functional.log_softmax(self.fc2(hidden), dim=1)
