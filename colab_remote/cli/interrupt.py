"""Ctrl-C on Windows, where it does not wake a thread that waits for a lock or a socket."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from types import FrameType


def heed_interrupts(patience: float = 1.0, platform: str = sys.platform) -> None:
    """On Windows, end this process with 130 if the main thread has not heard of a Ctrl-C within `patience` seconds."""
    if platform != "win32":
        return
    told, tells = socket.socketpair()
    tells.setblocking(False)
    # The signal itself writes to it, whatever the main thread does.
    signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
    heard = threading.Event()

    def hear(number: int, frame: FrameType | None) -> None:
        heard.set()
        signal.default_int_handler(number, frame)

    def watch(told: socket.socket, _open: socket.socket) -> None:
        while told.recv(1) and heard.wait(patience):
            heard.clear()
        os._exit(130)

    signal.signal(signal.SIGINT, hear)
    threading.Thread(target=watch, args=(told, tells), daemon=True).start()
