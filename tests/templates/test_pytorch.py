"""The default template as a user gets it: it passes its own tests, and no kill changes what a run ends with."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from sides import Laptop
from weights import newest, same_end

KILLS = 20
# A checkpoint every other step, so that kills fall within their writing too.
SETTINGS = ("trainer.epochs=3", "trainer.save_steps=2", "arch.args.width=4")
SET = [word for setting in SETTINGS for word in ("--set", setting)]


@pytest.fixture
def project(laptop: Laptop) -> Path:
    """A fresh project of the template."""
    folder = laptop.home / "내 project"
    done = laptop("new", str(folder), "--template", "pytorch", "--name", "mine")
    assert done.returncode == 0, done.stderr
    return folder


def alone() -> dict[str, str]:
    """An environment in which only the project's own modules can be imported beside what is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}


def python(project: Path, *words: str) -> str:
    """What Python prints in the project; it must succeed."""
    done = subprocess.run([sys.executable, *words], cwd=project, env=alone(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.timeout(400)
def test_a_new_project_passes_its_own_tests_and_checks(project: Path) -> None:
    python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    python(project, "-m", "ruff", "check", ".")
    python(project, "-m", "ruff", "format", "--check", ".")


@pytest.mark.timeout(400)
def test_the_types_of_both_templates_hold(project: Path, laptop: Laptop) -> None:
    other = laptop.home / "other"
    assert laptop("new", str(other), "--template", "lightning").returncode == 0
    for folder in (project, other):  # with one cache: what takes long is torch
        python(folder, "-m", "mypy", "--cache-dir", str(laptop.home / "types"), ".")


def test_it_trains_on_real_digits_and_tests_a_checkpoint(project: Path) -> None:
    python(project, "train.py", "-c", "config.json")
    metrics = next((project / "saved/mine").glob("*/metrics.jsonl"))
    last = json.loads(metrics.read_text().splitlines()[-1])
    assert last["test_accuracy"] > 0.97
    tested = json.loads(python(project, "test.py", "-r", str(metrics.with_name("best.pt"))))
    assert tested == {name: value for name, value in last.items() if name.startswith("test_")}


@pytest.mark.timeout(120)
def test_two_processes_told_to_end_leave_one_checkpoint_of_the_same_step(project: Path) -> None:
    engine = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train.py"]
    words = ["-d", "cpu", *SET, "--set", "trainer.save_steps=0", "--set", "trainer.epochs=1000"]
    with subprocess.Popen(
        [*engine, *words], cwd=project, env=alone(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while "epoch" not in process.stdout.readline():
            assert process.poll() is None
        process.terminate()
        said = process.communicate(timeout=60)[1]
    checkpoint = newest(project / "saved")
    assert checkpoint is not None
    assert said.count(f"SIGTERM: go on with `python3 train.py -r {checkpoint.relative_to(project)}`") == 1


def train(project: Path, folder: str, seconds: float, *words: str) -> int:
    """The exit code of a training that writes to `folder` and is killed after `seconds`."""
    argv = [sys.executable, "train.py", "-d", "cpu", *SET, "--set", f"trainer.save_dir={folder}", *words]
    with subprocess.Popen(argv, cwd=project, env=alone(), stdout=subprocess.DEVNULL) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.returncode


@pytest.mark.timeout(400)
def test_killed_twenty_times_at_random_it_ends_with_the_same_bits(project: Path) -> None:
    draw = random.Random(20)
    began = time.monotonic()
    assert train(project, "whole/", 120) == 0
    took = time.monotonic() - began
    for number in range(KILLS):
        words: tuple[str, ...] = ()
        checkpoint = newest(project / "cut")
        if checkpoint and torch.load(checkpoint, weights_only=True)["position"][0] <= 2:
            words = ("-r", str(checkpoint))
        train(project, "cut/", draw.uniform(0.6, 1.0) * took, *words)
        assert not words or newest(project / "cut") is not None, number
    assert train(project, "cut/", 120, "-r", str(newest(project / "cut"))) == 0
    assert same_end(project / "whole", project / "cut")
    cut = newest(project / "cut")
    assert cut
    assert list(cut.parent.glob(".new-*")) == []
