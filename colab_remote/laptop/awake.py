"""Keep this laptop from idle sleep while something is followed, where the system offers it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_WHY = "a training is followed"


@contextmanager
def awake() -> Iterator[None]:
    """No idle sleep inside the `with` block; a lid that is closed, and a system that knows no such wish, stay so."""
    if sys.platform == "win32":
        with _thread_state():
            yield
        return
    words = _inhibitor()
    if not words:
        yield
        return
    # It lasts as long as its stdin, which ends with this process, however that ends.
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as held:
        try:
            yield
        finally:
            assert held.stdin is not None
            held.stdin.close()


def _inhibitor() -> list[str]:
    """The command that keeps the system awake until its stdin ends; none where there is none."""
    if shutil.which("caffeinate"):
        return ["caffeinate", "-i", "cat"]
    if shutil.which("systemd-inhibit") and os.path.exists("/run/systemd/system"):
        return ["systemd-inhibit", "--what=idle:sleep", "--who=colab-remote", f"--why={_WHY}", "cat"]
    return []


if sys.platform == "win32":
    import ctypes

    # winbase.h: until it is set again, the system is required.
    _CONTINUOUS, _SYSTEM_REQUIRED = 0x80000000, 0x00000001

    @contextmanager
    def _thread_state() -> Iterator[None]:
        ctypes.windll.kernel32.SetThreadExecutionState(_CONTINUOUS | _SYSTEM_REQUIRED)
        try:
            yield
        finally:
            ctypes.windll.kernel32.SetThreadExecutionState(_CONTINUOUS)

else:

    @contextmanager
    def _thread_state() -> Iterator[None]:
        raise NotImplementedError
        yield
