"""Begin a run, or go on with one from a checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from config import Config, Refused, Wishes, build, read_document
from journal import Journal, describe_run, make_run_folder
from run.checkpoint import expect_same, read_checkpoint
from run.parts import choose_device, make_parts
from run.randomness import seed_generators
from run.training import Training

DEFAULT = Path("config.json")


def begin(wishes: Wishes) -> tuple[Training, Journal]:
    """A run from its beginning, in a new folder. Raises Refused."""
    document = read_document(wishes.config or DEFAULT)
    wishes.apply(document)
    config = build(Config, document)
    training = prepare(config, wishes.devices)
    folder = make_run_folder(config.trainer.save_dir, config.name)
    describe_run(folder, config, training.parts.device)
    return training, Journal(folder)


def resume(wishes: Wishes, checkpoint: Path) -> tuple[Training, Journal]:
    """The run of a checkpoint at the step where it was written, in the checkpoint's folder. Raises Refused.

    The configuration is the checkpoint's own unless another is named, which then must be the same.
    """
    state = read_checkpoint(checkpoint)
    document = read_document(wishes.config) if wishes.config else state["config"]
    wishes.apply(document)
    config = build(Config, document)
    expect_same(asdict(config), state["config"])
    training = prepare(config, wishes.devices)
    training.load(state)
    describe_run(checkpoint.parent, config, training.parts.device)
    return training, Journal(checkpoint.parent, state["journal"])


def prepare(config: Config, devices: str | None) -> Training:
    """All that `config` names, made the same way each time. Raises Refused."""
    device = choose_device(config.n_gpu, devices)
    seed_generators(config.seed, config.deterministic)
    try:
        return Training(config, make_parts(config, device))
    except torch.OutOfMemoryError:
        raise Refused(f"the model and the data do not fit into the memory of `{device}`") from None
