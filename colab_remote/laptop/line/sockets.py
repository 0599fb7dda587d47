"""A door that is a Unix socket."""

from __future__ import annotations

import os
import select
import socket
import sys
from contextlib import closing
from typing import cast

from colab_remote.laptop.line.door import Door, Local

assert sys.platform != "win32"  # which has pipes


def listen(found: Door) -> socket.socket:
    """Who listens there, once the lock is ours: a socket that is there is that of a line that was killed."""
    found.entrance.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(found.entrance))
    listener.listen(64)
    return listener


def connect(found: Door) -> Local | None:
    """A stream to the line that listens there, None where none does."""
    stream = socket.socket(socket.AF_UNIX)
    try:
        stream.setblocking(False)  # one that has stopped lets no more than so many wait
        stream.connect(os.fspath(found.entrance))
        stream.setblocking(True)
        return stream
    except (FileNotFoundError, ConnectionError, BlockingIOError):
        stream.close()
        return None


if sys.platform == "darwin":

    def wait_for_hangup(stream: Local) -> None:
        """Return when the other end is closed for reading too: of that macOS's `poll` tells nobody who asks no more."""
        change = select.kevent(
            cast("socket.socket", stream), select.KQ_FILTER_WRITE, select.KQ_EV_ADD | select.KQ_EV_CLEAR
        )
        with closing(select.kqueue()) as queue:
            while not any(found.flags & select.KQ_EV_EOF for found in queue.control([change], 1)):
                pass

else:

    def wait_for_hangup(stream: Local) -> None:
        """Return when the other end is closed for reading too, where its end of file left that open."""
        waiter = select.poll()
        waiter.register(cast("socket.socket", stream), 0)
        waiter.poll()
