"""When a log was written: `times` beside it, a line of 32 bytes for each note of where the log was and when.

What was written between two notes came within a tenth of a second after the first of them.
"""

from __future__ import annotations

import os

LINE = 32
EVERY = 0.1  # seconds between two notes at least


def line(offset: int, seconds: float) -> bytes:
    """The note that the log was `offset` bytes long at that moment, in seconds since 1970."""
    return b"%016d %014.3f\n" % (offset, seconds)


def parse(data: bytes) -> list[tuple[int, float]]:
    """The notes in `data`, offset and seconds of each; up to the first that is none."""
    found = []
    for begin in range(0, len(data) - LINE + 1, LINE):
        try:
            offset, seconds = data[begin : begin + LINE].split()
            found.append((int(offset), float(seconds)))
        except ValueError:
            break
    return found


def put(file: int, number: int, data: bytes) -> int:
    """Write notes from the one of that `number` on; the next one's. What a full disk tears is written over."""
    os.lseek(file, number * LINE, os.SEEK_SET)
    return number + os.write(file, data) // LINE
