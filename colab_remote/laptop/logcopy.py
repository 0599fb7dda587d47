"""The log at home, always a prefix of the runtime's, and when it was written, by this laptop's clock."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from colab_remote.both import logtimes

_PIECE = 1 << 18
_BINARY = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)


class LogCopy:
    """A job's log at home, open for growing at `offset`, its end or `begin`; `notes` counts the notes of its times.

    Several commands may follow one job: each writes at its own place, and there the same bytes.
    """

    def __init__(self, home: Path, say: Callable[[str], None], begin: int | None = None) -> None:
        self._say, self._full = say, False
        self._log, self._times = (os.open(home / name, _BINARY, 0o600) for name in ("log", "times"))
        self.offset = os.fstat(self._log).st_size if begin is None else begin
        self.notes = os.fstat(self._times).st_size // logtimes.LINE

    def __enter__(self) -> LogCopy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._log)
        os.close(self._times)

    def add(self, data: bytes) -> None:
        """Write what follows. Where the disk is full it stays as it is from here on: a hole would be a lie."""
        self._unless_full(lambda: self._write(data))
        self.offset += len(data)

    def note(self, said: dict[str, Any]) -> None:
        """Write the times of what follows, which the runtime told by its own clock: that may be wrong."""
        ahead = float(said["now"]) - time.time()
        found = logtimes.parse(str(said["notes"]).encode())
        lines = b"".join(logtimes.line(offset, seconds - ahead) for offset, seconds in found)
        self._unless_full(lambda: logtimes.put(self._times, self.notes, lines))
        self.notes += len(found)

    def _unless_full(self, write: Callable[[], object]) -> None:
        if self._full:
            return
        try:
            write()
        except OSError as error:
            self._full = True
            self._say(f"home     the log here stops: {error.strerror} on this laptop; the job goes on")

    def _write(self, data: bytes) -> None:
        os.lseek(self._log, self.offset, os.SEEK_SET)
        view = memoryview(data)
        while view:
            view = view[os.write(self._log, view) :]


class Clock:
    """When the bytes of a log at home were written, asked for in their order; it may grow meanwhile."""

    def __init__(self, home: Path) -> None:
        (home / "times").touch(0o600)
        self._file = (home / "times").open("rb")
        self._now: float | None = None
        self._ahead: list[tuple[int, float]] = []

    def __call__(self, offset: int) -> float | None:
        """Seconds since 1970, None where that is not known."""
        while True:
            self._ahead = self._ahead or logtimes.parse(self._file.read(logtimes.LINE))
            if not self._ahead or self._ahead[0][0] > offset:
                return self._now
            self._now = self._ahead.pop()[1]


def since(home: Path, moment: float) -> int:
    """The byte at which begins what was written since that moment, in seconds since 1970."""
    try:
        notes = logtimes.parse((home / "times").read_bytes())
    except FileNotFoundError:
        return 0
    number = bisect_left(notes, moment - logtimes.EVERY, key=lambda note: note[1])
    return notes[number][0] if number < len(notes) else (home / "log").stat().st_size


def show_log(home: Path, begin: int, show: Callable[[bytes], object]) -> int:
    """Hand what is at home of a job's log, from byte `begin`, to `show`; the byte where that ends."""
    try:
        with (home / "log").open("rb") as file:
            file.seek(begin)
            while piece := file.read(_PIECE):
                show(piece)
            return file.tell()
    except FileNotFoundError:
        return 0


def tail(home: Path, lines: int) -> int:
    """The byte at which the last `lines` lines at home begin."""
    if not (home / "log").exists():
        return 0
    with (home / "log").open("rb") as file:
        begin = end = file.seek(0, os.SEEK_END)
        if lines <= 0:
            return end
        while begin:
            begin, before = max(0, begin - _PIECE), begin
            file.seek(begin)
            # The last byte may be the end of the last line; it begins none.
            piece = file.read(before - begin)[: -1 if before == end else None]
            found = piece.count(b"\n")
            if found >= lines:
                for _ in range(found - lines):
                    piece = piece[piece.index(b"\n") + 1 :]
                return before - (1 if before == end else 0) - len(piece) + piece.index(b"\n") + 1
            lines -= found
    return 0
