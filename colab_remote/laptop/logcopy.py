"""The log at home: always a prefix of the runtime's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

_PIECE = 1 << 18


class LogCopy:
    """A job's log at home, open for growing at `offset`.

    Several commands may follow one job: each writes at its own place, and there the same bytes.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / "log"
        self.full = False
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        self.offset = os.fstat(self._file).st_size

    def __enter__(self) -> LogCopy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def add(self, data: bytes) -> None:
        """Write what follows. Where the disk is full it stays as it is from here on: a hole would be a lie."""
        try:
            if not self.full:
                self._write(data)
        except OSError:
            self.full = True
        self.offset += len(data)

    def _write(self, data: bytes) -> None:
        os.lseek(self._file, self.offset, os.SEEK_SET)
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]


def read_log(home: Path, begin: int = 0) -> Iterator[bytes]:
    """What is at home of a job's log, from byte `begin`."""
    try:
        with (home / "log").open("rb") as file:
            file.seek(begin)
            yield from iter(lambda: file.read(_PIECE), b"")
    except FileNotFoundError:
        return


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
