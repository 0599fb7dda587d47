"""SIGINT and SIGTERM: noted when they come, obeyed between two steps."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):
    """A signal came, and a checkpoint was written: `code` is what the process should end with."""

    def __init__(self, number: int, command: str) -> None:
        super().__init__(f"{signal.Signals(number).name}: go on with `{command}`")
        self.code = 128 + number


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """The signals that came and ask us to end: SIGINT, SIGTERM. The second one ends the process as it always would."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
