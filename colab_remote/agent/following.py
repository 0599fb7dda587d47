"""A job's log on its way to the laptop, with its times."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from colab_remote.agent.serve import Call
from colab_remote.both import logtimes
from colab_remote.both.protocol import CHUNK

_NOTES = logtimes.LINE << 14  # bytes of them at once


class Following:
    """A job's log as far as it was sent, and its times."""

    def __init__(self, folder: Path, offset: int, notes: int) -> None:
        self.offset, self._noted = offset, notes * logtimes.LINE
        self._log, self._times = (os.open(folder / name, os.O_RDONLY | os.O_CREAT, 0o600) for name in ("log", "times"))

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._log)
        os.close(self._times)

    def send(self, call: Call) -> None:
        """What is new, its times first: they are noted before the log is written, so they are read after its size."""
        end = os.fstat(self._log).st_size
        if end > self.offset:
            for notes in self._notes():
                call.event({"now": time.time(), "notes": notes.decode()})
            call.send(self._pieces(end))

    def _notes(self) -> Iterator[bytes]:
        while notes := _read(self._times, _NOTES, self._noted):
            notes = notes[: len(notes) // logtimes.LINE * logtimes.LINE]
            self._noted += len(notes)
            if not notes:
                break
            yield notes

    def _pieces(self, end: int) -> Iterator[bytes]:
        while piece := _read(self._log, min(CHUNK, end - self.offset), self.offset):
            self.offset += len(piece)
            yield piece


def _read(file: int, count: int, place: int) -> bytes:
    os.lseek(file, place, os.SEEK_SET)
    return os.read(file, count)
