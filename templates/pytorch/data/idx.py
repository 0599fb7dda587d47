"""MNIST, Fashion-MNIST and the like: four files in IDX format, as they are published (yann.lecun.com/exdb/mnist)."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from config import Refused
from data.images import Images, Split, hold_out

_UNSIGNED_BYTES = b"\0\0\x08"  # how an IDX file of uint8 begins; then the number of dimensions


@dataclass(frozen=True)
class MnistDataLoader:
    """60,000 images to learn from and 10,000 to test, in `data_dir` or where torchvision puts them below it."""

    data_dir: str = "data/"
    batch_size: int = 128
    shuffle: bool = True
    validation_split: float = 0.1
    num_workers: int = 0  # taken for old configurations' sake: the data lies in memory, nothing works for it

    def read(self) -> Split:
        """The images and labels of the four files. Raises Refused where one is missing or damaged."""
        train, validation = hold_out(self._images("train"), self.validation_split)
        return Split(train, validation, self._images("t10k"))

    def _images(self, part: str) -> Images:
        pixels = read_idx(self._file(f"{part}-images-idx3-ubyte"))
        labels = read_idx(self._file(f"{part}-labels-idx1-ubyte"))
        if pixels.dim() != 3 or labels.dim() != 1 or len(pixels) != len(labels):
            raise Refused(f"the `{part}` files in `{self.data_dir}` do not belong together")
        return Images(pixels.unsqueeze(1), labels.long())

    def _file(self, name: str) -> Path:
        folder = Path(self.data_dir)
        for place in (folder, folder / "MNIST" / "raw", folder / "FashionMNIST" / "raw"):
            for path in (place / name, place / f"{name}.gz"):
                if path.is_file():
                    return path
        raise Refused(f"no `{name}` or `{name}.gz` in `{folder}`: `--download mnist` brings the four files")


def read_idx(path: Path) -> Tensor:
    """The uint8 tensor in the IDX file `path`, gzipped or not. Raises Refused for any other file."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise Refused(f"`{path}` cannot be read: {error}") from None
    if len(content) < 4 or content[:3] != _UNSIGNED_BYTES:
        raise Refused(f"`{path}` is no IDX file of bytes")
    start = 4 + 4 * content[3]
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    if len(content) != start + math.prod(shape):
        raise Refused(f"`{path}` is not whole: its head tells of {' x '.join(map(str, shape))} bytes")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(shape)
