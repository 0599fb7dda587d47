"""A run of seconds: the configuration of this project, made small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from config import Config, build, read_document
from run.begin import prepare
from run.training import Training

ROOT = Path(__file__).parent.parent


def small(device: str = "cpu", **sections: Any) -> Training:
    """A run of two epochs on `device` that has not begun; `sections` replace parts of the configuration."""
    document = read_document(ROOT / "config.json")
    document["arch"]["args"] = {"width": 4} if document["arch"]["type"] == "DigitsModel" else {}
    document["data_loader"]["args"]["data_dir"] = str(ROOT / document["data_loader"]["args"]["data_dir"])
    document["trainer"] |= {"epochs": 2, "verbosity": 0}
    return prepare(build(Config, document | sections), device)


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal, bit for bit; where they were saved is no part of it."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one if key != "save_dir")
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
