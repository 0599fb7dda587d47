"""The records of metrics.jsonl for TensorBoard too, where it is wanted and installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@contextmanager
def board(folder: Path, step: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that shows a record under `folder`/tensorboard, for a run that begins or goes on after `step`.

        with board(folder, 0) as show:
            show({"step": 50, "loss": 0.1})

    Where TensorBoard is not installed it says so and shows nothing.
    """
    if find_spec("tensorboard") is None:
        print("nothing is written for TensorBoard: it is not installed (pip install tensorboard)", file=sys.stderr)
        yield lambda record: None
        return
    from torch.utils.tensorboard import SummaryWriter  # here, because its import takes a second

    writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def show(record: dict[str, Any]) -> None:
        for name, value in record.items():
            if isinstance(value, float):
                writer.add_scalar(name, value, record["step"])

    try:
        yield show
    finally:
        writer.close()
