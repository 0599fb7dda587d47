"""What the loaders give, and in which order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import same, small

from config import Refused
from data import ImageFolderLoader
from data.order import epoch_order
from journal import Journal
from run import run


def test_an_epoch_shows_each_image_once_in_an_order_of_its_own() -> None:
    first, second = (epoch_order(100, True, 1, epoch) for epoch in (1, 2))
    assert torch.equal(first.sort().values, torch.arange(100))
    assert not torch.equal(first, second)
    assert torch.equal(first, epoch_order(100, True, 1, 1))


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Two classes of 20 images each, the dark and the bright, of another size than the model's."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    draw = np.random.default_rng(1)
    for name, level in (("bright", 150), ("dark", 0)):
        folder = tmp_path / "photographs" / name
        folder.mkdir(parents=True)
        for number in range(20):
            pixels = draw.integers(level, level + 100, (12, 10, 3), dtype=np.uint8)
            image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "photographs"


def sections(folder: Path, workers: int) -> dict[str, Any]:
    args = {"data_dir": str(folder), "batch_size": 4, "size": 8, "num_workers": workers}
    return {
        "arch": {"type": "DigitsModel", "args": {"width": 4, "classes": 2, "channels": 3, "dropout": 0.5}},
        "data_loader": {"type": "ImageFolderLoader", "args": args},
        "metrics": ["accuracy"],
        "trainer": {"epochs": 2, "save_steps": 3, "keep": 100, "verbosity": 0},
    }


def test_a_run_on_files_is_the_same_with_workers_and_after_a_cut(tmp_path: Path, photographs: Path) -> None:
    states = []
    for workers in (0, 2):
        training = small(**sections(photographs, workers))
        run(training, Journal(tmp_path))
        states.append(training.state())
    cut = torch.load(tmp_path / "step-6.pt", weights_only=True)
    assert cut["position"][:2] == [1, 6]
    resumed = small(**sections(photographs, 2))
    resumed.load(cut)
    run(resumed, Journal(tmp_path))
    assert same(*(state | {"config": None} for state in states))
    assert same(states[1], resumed.state())


def test_a_damaged_image_is_named(tmp_path: Path, photographs: Path) -> None:
    damaged = photographs / "dark" / "7.png"
    damaged.write_bytes(b"no image")
    split = ImageFolderLoader(str(photographs), size=8, num_workers=1, validation_split=0.0, test_split=0.0).read()
    with pytest.raises(Refused, match=f"^`{re.escape(str(damaged))}` cannot be read as an image"):
        list(split.train.batches(torch.arange(40), 40))


def test_a_folder_without_images_says_what_it_should_hold(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    with pytest.raises(Refused, match="a folder for each class"):
        ImageFolderLoader(str(tmp_path)).read()
