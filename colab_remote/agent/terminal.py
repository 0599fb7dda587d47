"""What is typed at a job's terminal, on its way there."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import termios
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from colab_remote.both.protocol import Frame, Kind


def type_at(terminal: str, keys: Path, frames: Iterable[Frame]) -> None:
    """Write DATA to the FIFO `keys`, and give the terminal the size that an EVENT tells, until the job is over."""
    if sys.platform == "win32":
        raise NotImplementedError
    try:
        fifo = os.open(keys, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return  # nobody reads there: the job is over
    os.set_blocking(fifo, True)
    for frame in frames:
        try:
            if frame.kind is Kind.EVENT:
                _resize(terminal, frame.json())
            else:
                os.write(fifo, frame.payload)
        except OSError:
            break
    os.close(fifo)


def _resize(terminal: str, window: dict[str, Any]) -> None:
    """Give a terminal its new size; the kernel tells the programs there."""
    if sys.platform == "win32":
        raise NotImplementedError
    handle = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    size = (min(max(int(window[side]), 1), 1 << 12) for side in ("rows", "columns"))
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    os.close(handle)
