"""Ctrl-C where Python loses it: in C code, and on Windows in a thread that waits for a lock or a socket."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from types import FrameType

_heard = threading.Event()


def interrupted() -> bool:
    """Whether there was a Ctrl-C: C code that meets its KeyboardInterrupt, an import say, may raise something else."""
    return _heard.is_set()


def heed_interrupts(patience: float = 1.0, platform: str = sys.platform) -> None:
    """Note each Ctrl-C; on Windows, end this process with 130 if the main thread has not in `patience` seconds."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # who started this wants none
    woken = threading.Event()

    def hear(number: int, frame: FrameType | None) -> None:
        _heard.set()
        woken.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, hear)
    if platform == "win32":
        _watch_for_deafness(woken, patience)


def _watch_for_deafness(woken: threading.Event, patience: float) -> None:
    told, tells = socket.socketpair()
    tells.setblocking(False)
    # The signal itself writes to it, whatever the main thread does.
    signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)

    def watch(told: socket.socket, _open: socket.socket) -> None:
        while told.recv(1) and woken.wait(patience):
            woken.clear()
        os._exit(130)

    threading.Thread(target=watch, args=(told, tells), daemon=True).start()
