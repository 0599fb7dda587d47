"""Two processes train as one does: the same images, the same curve, and an exact resume."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small import ROOT, same, small

from config import Refused
from journal import Journal
from run import run
from run.processes import own_share

SETTINGS = ("trainer.epochs=2", "trainer.save_steps=5", "trainer.keep=100", "arch.args.width=4")


def torchrun(folder: Path, *settings: str, checkpoint: Path | None = None) -> Path:
    """The run's folder, after two processes trained to its end."""
    words = [word for setting in (*SETTINGS, *settings) for word in ("--set", setting)]
    resume = ("-r", str(checkpoint)) if checkpoint else ()
    engine = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train.py")
    argv = [*engine, "-d", "cpu", *words, "--set", f"trainer.save_dir={folder}", *resume]
    done = subprocess.run(argv, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*/*")  # only one of the processes made a folder
    assert done.stdout.count("run  ") == 1
    return found


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_have_the_loss_of_one(tmp_path: Path) -> None:
    plain = ("arch.args.dropout=0.0", "arch.args.batch_norm=false", "data_loader.args.batch_size=62")
    both = records(torchrun(tmp_path, *plain))
    training = small(
        arch={"type": "DigitsModel", "args": {"width": 4, "dropout": 0.0, "batch_norm": False}},
        data_loader={"type": "DigitsDataLoader", "args": {"data_dir": str(ROOT / "data"), "batch_size": 62}},
    )
    run(training, Journal(tmp_path))
    alone = records(tmp_path)
    assert [record["step"] for record in both] == [record["step"] for record in alone]
    for one, other in zip(alone, both, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_two_processes_resume_exactly_and_one_goes_on_with_what_they_did(tmp_path: Path) -> None:
    folder = torchrun(tmp_path)
    last, cut = folder / "step-42.pt", folder / "step-10.pt"
    whole, text = torch.load(last, weights_only=True), (folder / "metrics.jsonl").read_text()
    last.unlink()
    torchrun(tmp_path, checkpoint=cut)
    assert same(whole, torch.load(last, weights_only=True))
    assert (folder / "metrics.jsonl").read_text() == text
    alone = small()
    alone.load(torch.load(cut, weights_only=True))
    assert alone.meter.means()["loss"] > 0
    assert alone.step == 10
    assert run(alone, Journal(tmp_path))["step"] == 42


@pytest.mark.parametrize(("images", "batch"), [(64, 8), (61, 8), (57, 8), (3, 8), (0, 8)])
def test_each_image_is_trained_on_once(monkeypatch: pytest.MonkeyPatch, images: int, batch: int) -> None:
    order = torch.randperm(images)
    shown: list[int] = []
    monkeypatch.setenv("WORLD_SIZE", "4")
    weights = 0.0
    for rank in range(4):
        monkeypatch.setenv("RANK", str(rank))
        share = own_share(order, batch)
        batches = torch.split(share.order, share.size) if images else ()
        pairs = zip(batches, share.portions, strict=True)
        shown += [index for chosen, portion in pairs for index in chosen[: portion.own].tolist()]
        weights += sum(portion.weight for portion in share.portions)
    assert sorted(shown) == list(range(images))
    assert weights == pytest.approx(4 * len(range(0, images, batch)))


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(Refused, match="must be a multiple of 3"):
        own_share(torch.arange(10), 8)
