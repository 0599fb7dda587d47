"""Every switch of `speed` trains, keeps the weights float32, and resumes exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small import same, small

from journal import Journal
from run import run
from run.speed import has_compiler
from run.training import Training

SWITCHES: list[Any] = [
    {"amp": "bf16"},
    {"amp": "fp16"},
    {"channels_last": True, "tf32": True, "fused": False},
    pytest.param({"compile": True}, marks=pytest.mark.skipif(not has_compiler(), reason="no C++ compiler")),
]


def trained(training: Training, folder: Path) -> dict[str, Any]:
    run(training, Journal(folder))
    return training.state()


@pytest.mark.parametrize("speed", SWITCHES)
def test_a_switch_changes_how_a_run_computes_and_not_how_it_resumes(tmp_path: Path, speed: dict[str, Any]) -> None:
    whole = trained(small(speed=speed), tmp_path)
    half = torch.load(tmp_path / "step-21.pt", weights_only=True)
    assert half["position"][0] == 2
    resumed = small(speed=speed)
    resumed.load(half)
    assert same(whole, trained(resumed, tmp_path))
    assert {weight.dtype for weight in whole["model"].values() if weight.is_floating_point()} == {torch.float32}


def test_the_scale_of_fp16_is_part_of_a_checkpoint() -> None:
    training = small(speed={"amp": "fp16"})
    training.parts.scaler.scale(torch.ones(()))  # it begins when it is first asked
    training.parts.scaler.update(new_scale=8.0)
    resumed = small(speed={"amp": "fp16"})
    resumed.load(training.state())
    assert resumed.parts.scaler.get_scale() == 8.0
