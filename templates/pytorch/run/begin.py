"""Begin a run, or go on with one from a checkpoint."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict
from pathlib import Path

import torch

from config import Config, Document, Refused, Wishes, build, expect_known, expect_same, flat, read_document
from data.download import DATASETS, download
from journal import Journal, describe_run, make_run_folder
from run.checkpoint import read_checkpoint
from run.parts import choose_device, make_parts
from run.processes import from_all, number
from run.randomness import seed_generators
from run.training import Training

DEFAULT = Path("config.json")


def begin(wishes: Wishes) -> tuple[Training, Journal]:
    """A run from its beginning, in a new folder. Raises Refused."""
    document = read_document(wishes.config or DEFAULT)
    wishes.apply(document)
    if wishes.download and number() == 0:
        _download(wishes.download, document)
    from_all(None)  # none reads before all is there
    return start(document, wishes.devices)


def start(document: Document, devices: str | None) -> tuple[Training, Journal]:
    """The same of a configuration that is no file. Raises Refused."""
    config = build(Config, document)
    training = prepare(config, devices)
    writes = number() == 0
    folder = from_all(make_run_folder(config.trainer.save_dir, config.name) if writes else None)[0]
    assert folder is not None
    if writes:
        describe_run(folder, asdict(config), training.parts.device)
    return training, Journal(folder, writes=writes)


def resume(wishes: Wishes, checkpoint: Path) -> tuple[Training, Journal]:
    """The run of a checkpoint at the step where it was written, in the checkpoint's folder. Raises Refused.

    The configuration is the checkpoint's own unless another is named, which then must be the same.
    """
    state = read_checkpoint(checkpoint)
    document = read_document(wishes.config) if wishes.config else deepcopy(state["config"])
    wishes.apply(document)
    config = build(Config, document)
    expect_same(asdict(config), state["config"], free=("trainer",))
    training = prepare(config, wishes.devices)
    training.load(state)
    writes = number() == 0
    if writes:
        describe_run(checkpoint.parent, asdict(config), training.parts.device)
    return training, Journal(checkpoint.parent, state["journal"], writes)


def _download(name: str, document: Document) -> None:
    expect_known(name, DATASETS, "--download")
    download(DATASETS[name], Path(flat(document).get("data_loader.args.data_dir", "data/")))


def prepare(config: Config, devices: str | None) -> Training:
    """All that `config` names, made the same way each time. Raises Refused."""
    device = choose_device(config.n_gpu, devices)
    seed_generators(config.seed, config.deterministic)
    try:
        training = Training(config, make_parts(config, device))
    except torch.OutOfMemoryError:
        raise Refused(f"the model and the data do not fit into the memory of `{device}`") from None
    if number():  # all begin with the same weights, and each drops out others
        seed_generators(config.seed + number(), config.deterministic)
    return training
