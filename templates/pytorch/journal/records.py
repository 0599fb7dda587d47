"""metrics.jsonl: one JSON object a line, whole lines only, for people, plots and whoever follows the run.

{"epoch": 3, "step": 50, "images": 3100, "loss": ...}           within an epoch: means since its beginning
{"epoch": 3, "step": 63, "images": 3882, "epochs": 20, "loss": ..., "val_loss": ..., "lr": ...}     an epoch's end
{"epoch": 20, "step": 420, "best_epoch": 18, "test_loss": ..., "test_accuracy": ...}    the run's end

A measure's name stands for training, with `val_` for validation, with `test_` for the test. Steps and images count from
the run's beginning; Lightning's runs write no `images`. No times: a run that was cut and resumed writes the same bytes
as one that was not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from journal.whole import whole_file

METRICS = "metrics.jsonl"


class Journal:
    """A run's metrics.jsonl: `text` is all of it, which a checkpoint takes along."""

    def __init__(self, folder: Path, text: str = "", writes: bool = True) -> None:
        """Begin with `text`, whatever lies in `folder`: a resumed run has seen no more than its checkpoint.

        Of several processes that train together only one `writes`.
        """
        self.path = folder / METRICS
        self.text, self.writes = text, writes
        self.listeners: list[Callable[[dict[str, Any]], None]] = []  # who else is told each record
        if not writes:
            return
        with whole_file(self.path) as file:
            file.write(text.encode())

    def add(self, record: dict[str, Any]) -> None:
        """Append a record."""
        line = json.dumps(record) + "\n"
        self.text += line
        if not self.writes:
            return
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)
        for tell in self.listeners:
            tell(record)
