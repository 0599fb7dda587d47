"""The handwritten digits that ship with this project."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from config import Refused
from data.images import Images, Split, hold_out


@dataclass(frozen=True)
class DigitsDataLoader:
    """1,797 digits of 8x8 pixels (UCI, see data/digits.csv.gz.LICENSE.txt): 0 is paper, 16 is ink."""

    data_dir: str = "data/"
    batch_size: int = 64
    shuffle: bool = True
    validation_split: float = 0.1  # of what is not for the test
    test_split: float = 0.2

    def read(self) -> Split:
        """The digits, split at random, the same way each time. Raises Refused where the file is not there."""
        path = Path(self.data_dir, "digits.csv.gz")
        try:
            with gzip.open(path) as file:
                table = torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.uint8))
        except (OSError, ValueError) as error:
            raise Refused(f"`{path}`, the digits, cannot be read: {error}") from None
        digits = Images(table[:, :-1].reshape(-1, 1, 8, 8).contiguous(), table[:, -1].long())
        known, test = hold_out(digits, self.test_split)
        train, validation = hold_out(known, self.validation_split)
        return Split(train, validation, test)
