"""A run that was cut and resumed ends with the same bits as one that was not, wherever it was cut."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from config import Refused
from run import CommandLine
from run.classifier import Classifier

ROOT = Path(__file__).parent.parent
STEPS = 21  # an epoch


class PowerCut(Exception):
    """The machine is gone."""


def train(folder: Path, *words: str) -> Path:
    """The newest checkpoint of a small run of three epochs, a checkpoint every other step."""
    document = json.loads((ROOT / "config.json").read_text())
    document["run"] |= {"save_dir": str(folder), "save_steps": 2, "keep": 100}
    document["model"]["network"]["init_args"] = {"width": 4}
    document["data"]["loader"]["init_args"]["data_dir"] = str(ROOT / "data")
    document["trainer"] |= {"max_epochs": 3, "accelerator": "cpu"}
    config = folder / "config.json"
    config.write_text(json.dumps(document))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's of its own calls
        CommandLine(["fit", "-c", str(config), *words])
    return newest(folder)


def newest(folder: Path) -> Path:
    return max(folder.glob("*/*/step-*.ckpt"), key=lambda path: int(path.stem.removeprefix("step-")))


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal, bit for bit; where they were saved is no part of it."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one if key != "save_dir")
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize("cut", [9, 2 * STEPS + 1])
def test_cut_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Path, cut: int) -> None:
    step = Classifier.training_step

    def dies(self: Classifier, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.global_step == cut - 1:
            raise PowerCut
        return step(self, batch, batch_idx)

    with monkeypatch.context() as world:
        world.setattr(Classifier, "training_step", dies)
        with pytest.raises(PowerCut):
            train(tmp_path)
    last = train(tmp_path, "--ckpt_path", str(newest(tmp_path)))
    whole, resumed = (torch.load(path, weights_only=True) for path in (undisturbed, last))
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "run", "callbacks"):
        assert same(whole[part], resumed[part]), part
    assert last.with_name("metrics.jsonl").read_text() == undisturbed.with_name("metrics.jsonl").read_text()


def test_what_another_measure_said_is_forgotten(tmp_path: Path) -> None:
    train(tmp_path, "--run.monitor", "max val_accuracy", "--trainer.max_epochs", "2")
    last = train(tmp_path, "--ckpt_path", str(newest(tmp_path)), "--run.monitor", "min loss")
    record = json.loads(last.with_name("metrics.jsonl").read_text().splitlines()[-1])
    assert record["best_epoch"] == 3


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path, undisturbed: Path) -> None:
    with pytest.raises(Refused, match=r"`optimizer.init_args.lr` \(0.003 there, 0.5 here\)"):
        train(tmp_path, "--ckpt_path", str(undisturbed), "--optimizer.lr", "0.5")
