"""A stream joined with stdin and stdout, as a ProxyCommand is."""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress

from colab_remote.laptop.conversation import Stream

_PIECE = 1 << 18


def carry_stdio(stream: Stream) -> None:
    """Carry bytes both ways until the stream has ended."""
    source, sink = sys.stdin.fileno(), sys.stdout.fileno()
    if sys.platform == "win32":
        import msvcrt

        for descriptor in (source, sink):
            msvcrt.setmode(descriptor, os.O_BINARY)

    def upward() -> None:
        with suppress(OSError):
            while data := os.read(source, _PIECE):
                stream.sendall(data)
            stream.shutdown(socket.SHUT_WR)

    threading.Thread(target=upward, daemon=True).start()
    with suppress(OSError):
        while data := stream.recv(_PIECE):
            view = memoryview(data)
            while view:
                view = view[os.write(sink, view) :]
