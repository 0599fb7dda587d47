"""A run that was cut and resumed ends with the same bits as one that was not."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small import ROOT, same, small

from journal import Journal
from run import run

# Writes a checkpoint every other step, and dies like a machine that loses its power at the step it is told.
DIES = """
import os, sys
import run.training
sys.argv[0] = "train.py"
die_at, judge = int(os.environ["DIE_AT"]), run.training.Training.state
def state(self):
    if self.step >= die_at:
        os.kill(os.getpid(), 9)
    return judge(self)
run.training.Training.state = state
import train
sys.exit(train.main())
"""
SETTINGS = ("trainer.epochs=2", "trainer.save_steps=2", "trainer.keep=100", "arch.args.width=4")


def start(folder: Path, *words: str, die_at: int = 10**9) -> subprocess.Popen[str]:
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    env = {**os.environ, "DIE_AT": str(die_at), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    words = ("-d", "cpu", "--set", f"trainer.save_dir={json.dumps(str(folder))}", *settings, *words)
    return subprocess.Popen([sys.executable, "-c", DIES, *words], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)


def train(folder: Path, *words: str, die_at: int = 10**9) -> int:
    with start(folder, *words, die_at=die_at) as process:
        process.communicate(timeout=120)
    return process.returncode


def newest(folder: Path) -> Path:
    return max(folder.glob("*/*/step-*.pt"), key=lambda path: int(path.stem.removeprefix("step-")))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert train(folder) == 0
    return newest(folder)


@pytest.mark.parametrize("step", [9, 21, 30])
def test_killed_at_a_step_and_resumed(tmp_path: Path, undisturbed: Path, step: int) -> None:
    assert train(tmp_path, die_at=step) == -signal.SIGKILL
    assert train(tmp_path, "-r", str(newest(tmp_path))) == 0
    states = [torch.load(path, weights_only=True) for path in (undisturbed, newest(tmp_path))]
    assert same(*states)
    texts = [path.with_name("metrics.jsonl").read_text() for path in (undisturbed, newest(tmp_path))]
    assert texts[0] == texts[1]


def test_a_run_that_goes_back_keeps_what_it_writes(tmp_path: Path) -> None:
    assert train(tmp_path) == 0
    first = next(tmp_path.glob("*/*/step-2.pt"))
    assert train(tmp_path, "-r", str(first), "--set", "trainer.keep=2", die_at=9) == -signal.SIGKILL
    assert first.with_name("step-6.pt").exists()


def test_what_another_measure_said_is_forgotten(tmp_path: Path) -> None:
    assert train(tmp_path, "--set", "trainer.epochs=1", "--set", "trainer.monitor=max val_accuracy") == 0
    more = ("trainer.monitor=min loss", "trainer.early_stop=1")
    assert train(tmp_path, "-r", str(newest(tmp_path)), *(word for each in more for word in ("--set", each))) == 0
    last = json.loads(newest(tmp_path).with_name("metrics.jsonl").read_text().splitlines()[-1])
    assert last["best_epoch"] == 2


def test_a_run_without_a_scaler_goes_on_where_the_precision_needs_one() -> None:
    small(speed={"amp": "fp16"}).load(small(speed={"amp": "off"}).state())  # an L4, or a CPU, and then a T4


def test_told_to_end_it_writes_a_checkpoint_and_says_how_to_go_on(tmp_path: Path) -> None:
    with start(tmp_path, "--set", "trainer.save_steps=0", "--set", "trainer.epochs=1000") as process:
        assert process.stdout is not None
        while "epoch" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert newest(tmp_path).is_file()


@pytest.mark.parametrize("words", [("-c", "config.json", "--set", "seed=2"), ("--lr", "0.5"), ("--bs", "32")])
def test_a_checkpoint_of_another_configuration_is_refused(
    tmp_path: Path, undisturbed: Path, words: tuple[str, ...]
) -> None:
    used = undisturbed.with_name("config.json").read_text()
    assert train(tmp_path, "-r", str(undisturbed), *words) == 2
    assert undisturbed.with_name("config.json").read_text() == used


def test_a_checkpoint_is_due_after_so_many_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(step=25)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    trainer = {"epochs": 1, "verbosity": 0, "save_minutes": 1, "keep": 100}
    run(small(trainer=trainer), Journal(tmp_path))
    assert len(list(tmp_path.glob("step-*.pt"))) > 1
