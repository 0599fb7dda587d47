"""The template on the real MNIST, and the configuration that victoresque/pytorch-template comes with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mnist import MISSING, fetch_mnist

TEMPLATE = Path(__file__).resolve().parents[2] / "templates/pytorch"
# The keys and values of that template's config.json, with less to train.
VICTORESQUE = {
    "name": "Mnist_LeNet",
    "n_gpu": 1,
    "arch": {"type": "MnistModel", "args": {}},
    "data_loader": {
        "type": "MnistDataLoader",
        "args": {"data_dir": "data/", "batch_size": 128, "shuffle": True, "validation_split": 0.1, "num_workers": 2},
    },
    "optimizer": {"type": "Adam", "args": {"lr": 0.001, "weight_decay": 0, "amsgrad": True}},
    "loss": "nll_loss",
    "metrics": ["accuracy", "top_k_acc"],
    "lr_scheduler": {"type": "StepLR", "args": {"step_size": 50, "gamma": 0.1}},
    "trainer": {
        "epochs": 100,
        "save_dir": "saved/",
        "save_period": 1,
        "verbosity": 2,
        "monitor": "min val_loss",
        "early_stop": 10,
        "tensorboard": True,
    },
}


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = fetch_mnist(tmp_path_factory.mktemp("mnist"))
    if found is None:
        pytest.skip(MISSING)
    return found


def trained(config: Path, mnist: Path, saved: Path) -> dict[str, Any]:
    """The last record of an epoch of the template's training on `mnist`."""
    settings = (f"data_loader.args.data_dir={mnist}", f"trainer.save_dir={saved}", "trainer.epochs=1")
    words = [word for setting in settings for word in ("--set", setting)]
    # Two processes with two threads each on two cores wait for each other more than they compute.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    argv = [sys.executable, "train.py", "-d", "cpu", "-c", str(config), *words]
    done = subprocess.run(argv, cwd=TEMPLATE, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    metrics = next(saved.glob("*/*/metrics.jsonl"))
    record: dict[str, Any] = json.loads(metrics.read_text().splitlines()[-1])
    return record


@pytest.mark.timeout(300)
def test_an_epoch_of_mnist(mnist: Path, tmp_path: Path) -> None:
    assert trained(TEMPLATE / "mnist.json", mnist, tmp_path)["test_accuracy"] > 0.97


@pytest.mark.timeout(300)
def test_the_configuration_of_victoresques_template_runs_as_it_is(mnist: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(VICTORESQUE, indent=4))
    assert trained(config, mnist, tmp_path)["test_accuracy"] > 0.9
