"""Photographs in folders, too many for the memory: read from the disk by workers while the model trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from config import Refused
from data.images import Batch, Split, held_out
from data.order import in_batches

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"}
_SAMPLE = 512  # images that tell the mean and the spread of all


@dataclass(frozen=True)
class ImageFolderLoader:
    """`data_dir/train/CLASS/*.jpg`, and `data_dir/test/CLASS/*.jpg` or a random `test_split` of the former.

    Labels number the classes in the order of their names. Each image is cut to its middle and scaled to `size` by
    `size`, in colour or in grey. `num_workers` processes read ahead of the training; 0: it reads itself.
    """

    data_dir: str = "data/"
    batch_size: int = 32
    size: int = 224
    grey: bool = False
    shuffle: bool = True
    validation_split: float = 0.1
    test_split: float = 0.1  # of the images in `train`, where there is no folder `test`
    num_workers: int = 2

    def read(self) -> Split:
        """Where the images are; they are read when they are trained on. Raises Refused where there are none."""
        if find_spec("PIL") is None:
            raise Refused("`ImageFolderLoader` reads images with Pillow, which is not installed: pip install pillow")
        root = Path(self.data_dir)
        known = self._files(root / "train" if (root / "train").is_dir() else root)
        if (root / "test").is_dir():
            test = self._files(root / "test")
        else:
            known, test = _parted(known, self.test_split)
        train, validation = _parted(known, self.validation_split)
        return Split(train, validation, test)

    def _files(self, folder: Path) -> Files:
        classes = sorted(path for path in folder.glob("*") if path.is_dir())
        found = [(path, label) for label, name in enumerate(classes) for path in sorted(name.rglob("*"))]
        images = [(path, label) for path, label in found if path.suffix.lower() in _SUFFIXES]
        if not images:
            raise Refused(f"no images in `{folder}`: it should hold a folder for each class, with the images inside")
        paths, labels = zip(*images, strict=True)
        files = [str(path) for path in paths]
        return Files(files, list(labels), self.size, self.grey, self.num_workers, torch.device("cpu"))


@dataclass(frozen=True)
class Files(Dataset[tuple[Tensor, int]]):
    """A Source on the disk: image files and their labels."""

    paths: list[str]
    labels: list[int]
    size: int
    grey: bool
    workers: int
    device: torch.device

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return read_image(self.paths[index], self.size, self.grey), self.labels[index]

    def to(self, device: torch.device) -> Files:
        """The same files, their batches on `device`."""
        return replace(self, device=device)

    def chosen(self, indices: Tensor) -> Files:
        """The files at `indices` [M]."""
        chosen = indices.tolist()
        return replace(self, paths=[self.paths[n] for n in chosen], labels=[self.labels[n] for n in chosen])

    def batches(self, order: Tensor, size: int) -> Iterator[Batch]:
        """The images that `order` names, `size` at a time, in this order whatever worker reads them.

        The loader draws the workers' seeds from a generator of its own: torch's stays where the model left it, so a
        run that goes on in the middle of an epoch, with a new loader, draws the same numbers.
        """
        loader = DataLoader(
            self,
            batch_sampler=[chosen.tolist() for chosen in in_batches(order, size)],
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),
        )
        try:
            for pixels, labels in loader:
                yield pixels.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        except Refused as mistake:  # a worker's comes with its traceback before it
            raise Refused(str(mistake).rpartition("Refused: ")[2].strip()) from None

    def sample(self) -> Tensor:
        """Pixels of some images, evenly spread over all."""
        chosen = torch.linspace(0, len(self) - 1, min(len(self), _SAMPLE)).long()
        return torch.stack([self[n][0] for n in chosen.tolist()])


def read_image(path: str, size: int, grey: bool) -> Tensor:
    """The image's middle as uint8 [3 or 1, size, size]. Raises Refused for what is no image."""
    from PIL import Image, ImageOps  # here, because only this loader wants it

    try:
        with Image.open(path) as image:
            fitted = ImageOps.fit(image.convert("L" if grey else "RGB"), (size, size))
    except OSError as error:
        raise Refused(f"`{path}` cannot be read as an image: {error}") from None
    pixels = torch.from_numpy(np.array(fitted))  # [size, size] or [size, size, 3]
    return pixels.unsqueeze(0) if grey else pixels.permute(2, 0, 1).contiguous()


def _parted(files: Files, fraction: float) -> tuple[Files, Files]:
    kept, held = held_out(len(files), fraction)
    return files.chosen(kept), files.chosen(held)
