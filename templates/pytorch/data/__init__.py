"""The data: each class here may be a `data_loader.type`, and its `read()` gives a Split."""

from __future__ import annotations

from data.digits import DigitsDataLoader
from data.folder import ImageFolderLoader
from data.idx import MnistDataLoader

__all__ = ["DigitsDataLoader", "ImageFolderLoader", "MnistDataLoader"]
