"""How fast `templates/pytorch` trains, against a bare loop, the loop of the template it succeeds, and Lightning's.

One model, one optimizer, the real MNIST, batches of 128, on the CPU.
"""

from __future__ import annotations

import copy
import os
import statistics
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from measure import command, in_turn, medians, seconds_of, table
from rival_loops import BATCH, Residual, bare, lightnings, sample_by_sample
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "templates/pytorch"
sys.path[:0] = [str(TEMPLATE), str(ROOT / "tests")]

from config import build, read_document  # noqa: E402
from config.sections import Config  # noqa: E402
from data.images import Images  # noqa: E402
from journal import Journal, Progress  # noqa: E402
from mnist import MISSING, fetch_mnist  # noqa: E402
from run import run  # noqa: E402
from run.begin import prepare  # noqa: E402
from run.checkpoint import Checkpoints  # noqa: E402
from run.loop import Loop  # noqa: E402
from run.speed import compiled, has_compiler  # noqa: E402

RUNS = 5
STEPS = 150
MORE_RUNS, FEWER_STEPS = 15, 50  # where the ways are close to each other: finer in turn
# Ends the process when the first step is done.
FIRST_STEP = """
import os, sys, run.loop
step = run.loop.Loop._step
def once(self, *batch):
    step(self, *batch)
    os._exit(0)
run.loop.Loop._step = once
import train
train.main()
"""


def settings(data: Path, **sections: Any) -> dict[str, Any]:
    """The configuration that all ways share; `sections` replace parts of it."""
    return {
        "name": "bench",
        "arch": {"type": "MnistModel"},
        "data_loader": {"type": "MnistDataLoader", "args": {"data_dir": str(data), "batch_size": BATCH}},
        "optimizer": {"type": "Adam", "args": {"lr": 0.001, "amsgrad": True}},
        "loss": "nll_loss",
        "metrics": ["accuracy", "top_k_acc"],
        "trainer": {"epochs": 1000, "verbosity": 0, "log_steps": 0},
    } | sections


class Ours:
    """The template's loop over `few` images, an epoch a call; `saves` ends it with a checkpoint."""

    def __init__(
        self,
        document: dict[str, Any],
        stack: ExitStack,
        few: Images | None = None,
        saves: bool = False,
        device: str | None = "cpu",
    ) -> None:
        training = prepare(build(Config, document), device)
        split = training.parts.split
        few = (few or split.train.chosen(torch.arange(BATCH * STEPS))).to(training.parts.device)
        training.parts = replace(training.parts, split=replace(split, train=few))
        folder = Path(stack.enter_context(TemporaryDirectory()))
        checkpoints = stack.enter_context(Checkpoints(folder, 3))
        limits = training.config.trainer
        progress = Progress(limits.epochs, len(few), 0, limits.verbosity)
        self.loop, self.saves = Loop(training, Journal(folder), checkpoints, progress, []), saves

    def __call__(self) -> None:
        """An epoch."""
        training = self.loop.training
        self.loop.train_epoch()
        if self.saves:
            self.loop._save(best=False)
        training.meter.means()
        training.epoch, training.batches = training.epoch + 1, 0
        training.meter.clear()


def throughput(data: Path, stack: ExitStack) -> None:
    """Print images/s of every way, and their ratios to the bare loop."""
    ours = Ours(settings(data), stack)
    images, network = ours.loop.training.parts.split.train, ours.loop.training.parts.model
    with_records = {"epochs": 1000, "verbosity": 0, "log_steps": 50}
    raw = copy.deepcopy(network)
    raw.normalise.mean.zero_()
    raw.normalise.spread.fill_(1.0)
    ways: dict[str, Callable[[], object]] = {
        "bare loop": bare(images.pixels, images.labels, copy.deepcopy(network), functional.nll_loss),
        "ours": ours,
        "ours, a record every 50 steps, a checkpoint at the end": Ours(
            settings(data, trainer=with_records), stack, saves=True
        ),
        "ours, `speed.channels_last`, as mnist.json has it": Ours(settings(data, speed={"channels_last": True}), stack),
        "as victoresque's: sample by sample, 2 workers": sample_by_sample(images.pixels, images.labels, raw),
        "as victoresque's, with TensorBoard, as configured": sample_by_sample(
            images.pixels, images.labels, copy.deepcopy(raw), SummaryWriter(stack.enter_context(TemporaryDirectory()))
        ),
        "Lightning's Trainer": lightnings(images.pixels, images.labels, copy.deepcopy(network), False),
        "Lightning's Trainer, `self.log`": lightnings(images.pixels, images.labels, copy.deepcopy(network), True),
    }
    if has_compiler():
        ways["ours, `speed.compile`"] = Ours(settings(data, speed={"compile": True}), stack)
        both = {"channels_last": True, "compile": True}
        ways["ours, `speed.channels_last` and `speed.compile`"] = Ours(settings(data, speed=both), stack)
    else:
        print("no C++ compiler here: torch.compile is not measured")
    show("MNIST on the CPU", ways, BATCH * STEPS, RUNS)


def own_model(data: Path, stack: ExitStack) -> None:
    """Print the same for `mnist.json` as it is, whose model has more to fuse."""
    document = read_document(TEMPLATE / "mnist.json")
    mine = {"data_loader": settings(data)["data_loader"], "trainer": settings(data)["trainer"]}
    few = prepare(build(Config, document | mine), "cpu").parts.split.train.chosen(torch.arange(BATCH * FEWER_STEPS))
    ours = Ours(document | mine, stack, few)
    images, network = ours.loop.training.parts.split.train, ours.loop.training.parts.model
    plain = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
    ways: dict[str, Callable[[], object]] = {
        "bare loop": bare(images.pixels, images.labels, plain, functional.cross_entropy),
        "bare loop, channels_last": bare(
            images.pixels, images.labels, copy.deepcopy(network), functional.cross_entropy
        ),
        "ours": ours,
    }
    if has_compiler():
        for last, name in ((False, "ours, `speed.compile` alone"), (True, "ours, `speed.compile` too")):
            speed = {**document["speed"], "channels_last": last, "compile": True}
            ways[name] = Ours(document | mine | {"speed": speed}, stack, few)
    show("`mnist.json` on the CPU", ways, len(few), MORE_RUNS)


def dominated(stack: ExitStack, data: Path) -> None:
    """Print the same for a model next to which a loop costs nothing."""
    torch.manual_seed(1)
    few = Images(torch.randint(0, 256, (BATCH * 4, 3, 32, 32), dtype=torch.uint8), torch.randint(0, 10, (BATCH * 4,)))
    network = Residual()
    eager, compiling = (copy.deepcopy(network) for _ in range(2))
    ways: dict[str, Callable[[], object]] = {
        "bare loop": bare(few.pixels, few.labels, network, functional.cross_entropy),
        "ours": training_of(eager, eager, few, data, stack),
    }
    if has_compiler():
        ways["ours, `speed.compile`"] = training_of(compiling, compiled(compiling), few, data, stack)
    show("A small ResNet on 32x32x3", ways, len(few), MORE_RUNS)


def training_of(network: torch.nn.Module, forward: Any, few: Images, data: Path, stack: ExitStack) -> Ours:
    """The template's loop over another `network` than its own, called by `forward`."""
    ours = Ours(settings(data, loss="cross_entropy"), stack, few)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001, amsgrad=True, fused=True)
    training = ours.loop.training
    training.parts = replace(training.parts, model=network, forward=forward, optimizer=optimizer)
    return ours


def show(title: str, ways: Mapping[str, Callable[[], object]], images: int, runs: int) -> None:
    """Print images/s of `ways`, each an epoch of `images`, and their ratios to the first in the same turn."""
    times = in_turn(list(ways.values()), runs)
    rows = []
    for name, seconds in zip(ways, times, strict=True):
        ratio = statistics.median(base / own for base, own in zip(times[0], seconds, strict=True))
        rows.append((name, f"{images / statistics.median(seconds):,.0f}", f"{ratio:.2f}"))
    table(f"{title}, medians of {runs}", ("loop", "images/s", "against the bare loop"), rows)


def first_step(data: Path) -> None:
    """Print how long after the process's start the first step is done, imports and reading the data included."""
    base = command(sys.executable, "-c", "import torch, numpy")
    env = {**os.environ, "PYTHONPATH": str(TEMPLATE)}
    with TemporaryDirectory() as folder:
        words = ("--set", f"data_loader.args.data_dir={data}", "--set", f"trainer.save_dir={folder}")
        start = command(sys.executable, "-c", FIRST_STEP, "-c", str(TEMPLATE / "mnist.json"), *words, env=env)
        imports, seconds = medians([base, start], RUNS)
    rows = [("`import torch, numpy`", f"{imports:.1f} s"), ("`train.py -c mnist.json`, first step", f"{seconds:.1f} s")]
    table(f"Time to the first step, medians of {RUNS}", ("process", "done after"), rows)


def accuracy(data: Path, folder: Path) -> None:
    """Print what `mnist.json` reaches on the 10,000 test images."""
    document = read_document(TEMPLATE / "mnist.json")
    document["data_loader"]["args"]["data_dir"] = str(data)
    document["trainer"]["verbosity"] = 0
    config = build(Config, document)
    found: dict[str, float] = {}
    seconds = seconds_of(lambda: found.update(run(prepare(config, "cpu"), Journal(folder))))
    row = (f"{found['test_accuracy']:.2%}", f"{config.trainer.epochs}", f"{seconds:.0f} s")
    table("`train.py -c mnist.json`, the whole of MNIST", ("test accuracy", "epochs", "time"), [row])


def main() -> None:
    """Print the tables, or what is missing for them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        data = fetch_mnist(folder)
        if data is None:
            print(MISSING)
            return
        throughput(data, stack)
        own_model(data, stack)
        dominated(stack, data)
        first_step(data)
        accuracy(data, folder)


if __name__ == "__main__":
    main()
