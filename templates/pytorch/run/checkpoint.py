"""Checkpoints: whole or not at all, tensors and plain values only."""

from __future__ import annotations

import pickle
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from config import Refused
from journal.whole import also_as, sweep, whole_file

BEST = "best.pt"
FORMAT = 1  # raised when a checkpoint of today cannot be read any more


class Checkpoints:
    """A run's checkpoints in `folder`, written by a thread of their own: the newest `keep`, and the best one.

    Of several processes that train together only one `writes`.
    """

    def __init__(self, folder: Path, keep: int, writes: bool = True) -> None:
        self.folder, self._keep, self._writes = folder, keep, writes
        self._writer = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None
        if writes:
            sweep(folder)

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.shutdown()

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.folder / f"step-{step}.pt"

    def save(self, state: dict[str, Any], step: int, best: bool) -> None:
        """Write `state` behind the training's back, and also as `best.pt`. Raises what the last writing raised."""
        if not self._writes:
            return
        self.wait()  # two states in memory are enough
        self._last = self._writer.submit(self._write, {"format": FORMAT, **state}, step, best)

    def wait(self) -> None:
        """Return when all is on the disk. Raises Refused where it could not be written."""
        if self._last is None:
            return
        try:
            self._last.result()
        except OSError as error:
            raise Refused(f"the checkpoint in `{self.folder}` cannot be written: {error.strerror or error}") from None

    def _write(self, state: dict[str, Any], step: int, best: bool) -> None:
        path = self.path(step)
        with whole_file(path) as file:
            torch.save(state, file)
        if best:
            also_as(path, self.folder / BEST)
        # Later ones are of a run that has gone back to an earlier checkpoint.
        done = [path for path in self.folder.glob("step-*.pt") if _step(path) <= step]
        for old in sorted(done, key=_step)[: -self._keep]:
            old.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state in the checkpoint `path`, its tensors on the CPU. Raises Refused."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise Refused(f"the checkpoint `{path}` cannot be read: {error.strerror}") from None
    except (RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile):
        raise Refused(f"`{path}` is no whole checkpoint: take an earlier one") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise Refused(f"`{path}` is not a checkpoint of this project's kind")
    return state


def _step(path: Path) -> int:
    number = path.stem.removeprefix("step-")
    return int(number) if number.isdigit() else 0
