"""The models: each class here may be an `arch.type`."""

from __future__ import annotations

from model.digits import DigitsModel
from model.lenet import MnistModel

__all__ = ["DigitsModel", "MnistModel"]
