#!/usr/bin/env python3
"""Prove the template's way on a GPU: precisions, compile, exact resume, and speed against a bare loop there.

    .venv-test/bin/python scripts/gpu-check.py

Prints tables for docs/benchmarks.md; needs PyTorch and a GPU, and says so where there is none. A minute or two.
"""

from __future__ import annotations

import copy
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "templates/pytorch"
sys.path[:0] = [str(TEMPLATE), str(TEMPLATE / "tests"), str(ROOT / "tests")]

from bench_template import RUNS, STEPS, Ours, settings  # noqa: E402
from data.images import Images  # noqa: E402
from journal import Journal  # noqa: E402
from measure import medians, table  # noqa: E402
from rival_loops import BATCH, bare  # noqa: E402
from run import run  # noqa: E402
from run.speed import has_compiler  # noqa: E402
from small import same, small  # noqa: E402
from torch.nn import functional  # noqa: E402


def switches() -> dict[str, dict[str, Any]]:
    """What `speed` may say here, by the name of the row."""
    ways: dict[str, dict[str, Any]] = {
        "float32": {"amp": "off"},
        "TF32, channels_last": {"tf32": True, "channels_last": True},
        "fp16 with scaler": {"amp": "fp16"},
    }
    if torch.cuda.is_bf16_supported(including_emulation=False):
        ways["bf16"] = {"amp": "bf16"}
    if has_compiler():
        ways["compile"] = {"compile": True}
    return ways


def resumes_exactly(speed: dict[str, Any]) -> tuple[bool, float]:
    """Whether a run resumed in its middle ends with the bits of one that was not cut, and what it got right."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        whole = small("0", speed=speed)
        reached = run(whole, Journal(folder))["test_accuracy"]
        cut = torch.load(folder / "step-21.pt", weights_only=True)
        resumed = small("0", speed=speed)
        resumed.load(cut)
        run(resumed, Journal(folder))
        return same(whole.state(), resumed.state()), reached


def exactness() -> bool:
    """Print which switches train and resume exactly; whether all do."""
    found = {name: resumes_exactly(speed) for name, speed in switches().items()}
    rows = [(name, f"{right:.2%}", "yes" if exact else "NO") for name, (exact, right) in found.items()]
    table("The template on a GPU, two epochs of digits", ("`speed`", "test accuracy", "resumed bit for bit"), rows)
    return all(exact and right > 0.5 for exact, right in found.values())


def throughput(stack: ExitStack) -> None:
    """Print images/s of each switch against a bare float32 loop on this GPU."""
    torch.manual_seed(1)
    pixels = torch.randint(0, 256, (BATCH * STEPS, 1, 28, 28), dtype=torch.uint8)
    few = Images(pixels, torch.randint(0, 10, (BATCH * STEPS,))).to(torch.device("cuda"))
    sections = {
        "arch": {"type": "DigitsModel", "args": {"width": 32, "size": 28}},
        "data_loader": {"type": "DigitsDataLoader", "args": {"data_dir": str(TEMPLATE / "data"), "batch_size": BATCH}},
        "loss": "cross_entropy",
        "deterministic": False,
    }
    ours = {
        name: Ours(settings(TEMPLATE / "data", **sections, speed=speed), stack, few, device="0")
        for name, speed in switches().items()
    }
    network = copy.deepcopy(ours["float32"].loop.training.parts.model)
    seconds = medians([bare(few.pixels, few.labels, network, functional.cross_entropy), *ours.values()], RUNS)
    names = ["bare loop, float32", *(f"ours, {name}" for name in ours)]
    rows = [(name, f"{len(few) / s:,.0f}", f"{seconds[0] / s:.2f}") for name, s in zip(names, seconds, strict=True)]
    table(f"Speed on a GPU, medians of {RUNS}", ("loop", "images/s", "against the bare loop"), rows)


def main() -> int:
    """0: all holds; 1: something does not; 2: there is no GPU to try it on."""
    if not torch.cuda.is_available():
        print("nothing was checked: PyTorch sees no GPU on this machine", file=sys.stderr)
        return 2
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    holds = exactness()
    with ExitStack() as stack:
        throughput(stack)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
