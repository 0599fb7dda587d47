"""The words after `train.py` and `test.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from config.document import Document, override


@dataclass(frozen=True)
class Wishes:
    """What was asked for on the command line."""

    config: Path | None
    checkpoint: Path | None
    devices: str | None
    assignments: list[str]
    download: str | None

    def apply(self, document: Document) -> None:
        """Override `document` with `--lr`, `--bs` and `--set`. Raises Refused."""
        for assignment in self.assignments:
            override(document, assignment)


def read_command_line(words: Sequence[str], about: str) -> Wishes:
    """What `words` ask for; leaves the process with code 2 and a sentence where they ask for nothing we know."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("-c", "--config", type=Path, help="configuration file (config.json, or the checkpoint's own)")
    parser.add_argument("-r", "--resume", type=Path, metavar="CHECKPOINT", help="go on from, or test, this checkpoint")
    parser.add_argument("-d", "--device", metavar="DEVICES", help="`cpu`, or the indices of the GPUs to see: `0`")
    parser.add_argument("--lr", "--learning_rate", metavar="RATE", help="short for --set optimizer.args.lr=RATE")
    parser.add_argument("--bs", "--batch_size", metavar="N", help="short for --set data_loader.args.batch_size=N")
    parser.add_argument("--download", metavar="NAME", help="first bring `mnist` or `fashion-mnist` to `data_dir`")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any key: trainer.epochs=3")
    found = parser.parse_args(words)
    short = {"optimizer.args.lr": found.lr, "data_loader.args.batch_size": found.bs}
    assignments = [f"{key}={value}" for key, value in short.items() if value is not None]
    return Wishes(found.config, found.resume, found.device, assignments + found.set, found.download)
