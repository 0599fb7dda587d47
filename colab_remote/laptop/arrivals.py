"""Clients as they come to a listener."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from typing import Protocol, TypeVar

Client = TypeVar("Client", covariant=True)
# What ends by itself: no descriptors or memory are left, or the client has gone already; asyncio waits the same way.
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED)
_PAUSE = 0.1  # seconds


class Listener(Protocol[Client]):
    """A listening socket, or what accepts as one does."""

    def accept(self) -> tuple[Client, object]:
        """The next client, and where it comes from. Raises OSError once this is closed."""


def arrivals(listener: Listener[Client]) -> Iterator[Client]:
    """Each client in turn, until the listener is closed."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError as error:
            if error.errno not in _PASSING:
                return
            time.sleep(_PAUSE)
        else:
            yield client
