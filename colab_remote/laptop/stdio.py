"""A stream joined with stdin and stdout, as a ProxyCommand is."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from contextlib import suppress

from colab_remote.both.memory import keep_freed_memory
from colab_remote.laptop.conversation import Stream

_PIECE = 1 << 18
_BULK = 1 << 14  # bytes at once that nobody types
_GATHER = 0.0005  # seconds
_PIPE = 1 << 20  # bytes, as much as Linux lets everybody have; with its usual 64 kB both ends wake for each


def carry_stdio(stream: Stream) -> None:
    """Carry bytes both ways until the stream has ended, or nobody reads. Raises OSError where the stream broke off."""
    keep_freed_memory()
    source, sink = sys.stdin.fileno(), sys.stdout.fileno()
    for descriptor in (source, sink):
        _suit_bulk(descriptor)

    def upward() -> None:
        with suppress(OSError):
            while data := os.read(source, _PIECE):
                stream.sendall(data)
                if _BULK < len(data) < _PIECE:
                    time.sleep(_GATHER)  # more is to come, and fewer frames that are larger take a fifth less CPU
            stream.shutdown(socket.SHUT_WR)

    threading.Thread(target=upward, daemon=True).start()
    with suppress(BrokenPipeError):
        while data := stream.recv(_PIECE):
            view = memoryview(data)
            while view:
                view = view[os.write(sink, view) :]


def _suit_bulk(descriptor: int) -> None:
    """Let bytes through as they are, and many at once."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(descriptor, os.O_BINARY)
    elif sys.platform == "linux":
        import fcntl

        with suppress(OSError):  # no pipe, or the user's share of them is used up
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
