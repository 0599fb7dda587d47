r"""A door that is one of Windows' named pipes, by `multiprocessing.connection`.

Its name and key are new with each line and lie in the door's file, which only its user can read: an old line may still
serve what it has lent. A stream is a pipe's messages, an empty one the end of what its sender has to say.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener, answer_challenge, deliver_challenge
from typing import Any, cast

from colab_remote.both.whole import read_json, write_json
from colab_remote.laptop.line.door import Door, Local

_PIECE = 64 << 10  # bytes of a message
_LOOK = 1.0  # seconds after which who reads sees that this end was closed, of which a pipe does not tell
_PATIENCE = 5.0  # seconds for each answer while two ends get to know each other
_UNKNOWN = (AuthenticationError, AssertionError, EOFError, OSError)


class PipeStream:
    """A connection as a stream; one that was accepted lets nobody say anything before the `key` was proved."""

    def __init__(self, pipe: Any, key: bytes = b"") -> None:
        self._pipe, self._key = pipe, key
        self._rest = memoryview(b"")
        self._heard_all = self._said_all = False
        self._timeout: float | None = None

    def settimeout(self, seconds: float | None, /) -> None:
        """Wait so long for what the other end says."""
        self._timeout = seconds

    def recv(self, count: int, /) -> bytes:
        """Up to `count` bytes, none at the end. Raises OSError, TimeoutError among them."""
        if self._key:
            key, self._key = self._key, b""
            # Not in `accept`, where one mute client would keep out all others.
            _prove(self, key, first=deliver_challenge, then=answer_challenge)
        if not self._rest and not self._heard_all:
            with suppress(EOFError):
                self._rest = memoryview(self.recv_bytes())
            self._heard_all = not self._rest
        piece, self._rest = self._rest[:count], self._rest[count:]
        return bytes(piece)

    def sendall(self, data: bytes, /) -> None:
        """Send all of `data`."""
        view = memoryview(data)
        for begin in range(0, len(view), _PIECE):
            self.send_bytes(view[begin : begin + _PIECE])

    def shutdown(self, how: int, /) -> None:
        """End what this end says, or both directions."""
        if how != socket.SHUT_WR:
            self.close()
        elif not self._said_all:
            self._said_all = True
            self.send_bytes(b"")

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self._pipe.close()

    def wait_for_hangup(self) -> None:
        """Return when the other end is closed for reading too."""
        with suppress(EOFError, OSError):
            while True:
                self.recv_bytes()

    def recv_bytes(self, longest: int | None = None) -> bytes:
        """The next message. Raises EOFError, OSError."""
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while not self._pipe.poll(_LOOK if deadline is None else max(0.0, min(_LOOK, deadline - time.monotonic()))):
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError
        return bytes(self._pipe.recv_bytes(longest))

    def send_bytes(self, message: bytes | memoryview) -> None:
        """Send one message. Raises OSError."""
        self._pipe.send_bytes(message)


class PipeListener:
    """Accepts as a socket does."""

    def __init__(self, address: str, key: bytes) -> None:
        self._listener, self._key = Listener(address, backlog=64), key

    def accept(self) -> tuple[Local, None]:
        """The next stream. Raises OSError once this is closed."""
        return PipeStream(self._listener.accept(), self._key), None

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()


def listen(found: Door) -> PipeListener:
    """Who listens there, once the lock is ours."""
    address, key = _new_address(found), os.urandom(32)
    listener = PipeListener(address, key)
    write_json(found.entrance, {"address": address, "key": key.hex()})
    return listener


def connect(found: Door) -> Local | None:
    """A stream to the line that listens there, None where none does."""
    try:
        kept = read_json(found.entrance)
        stream = PipeStream(Client(str(kept["address"])))
    except (OSError, ValueError, KeyError):
        return None
    try:
        _prove(stream, bytes.fromhex(kept["key"]), first=answer_challenge, then=deliver_challenge)
    except (OSError, ValueError):
        stream.close()
        return None
    return stream


def wait_for_hangup(stream: Local) -> None:
    """Return when the other end is closed for reading too, where its end of file left that open."""
    cast("PipeStream", stream).wait_for_hangup()


def _prove(stream: PipeStream, key: bytes, *, first: Any, then: Any) -> None:
    """Each end shows the other that it has the key. Raises PermissionError where that fails, or takes too long."""
    before = stream._timeout
    stream.settimeout(_PATIENCE)
    try:
        first(stream, key)
        then(stream, key)
    except _UNKNOWN as error:
        raise PermissionError("the other end does not have the key") from error
    stream.settimeout(before)


def _new_address(found: Door) -> str:
    name = os.urandom(8).hex()
    # Elsewhere it is a Unix socket, so that this is tried where there are no pipes.
    return rf"\\.\pipe\colab-remote-{name}" if sys.platform == "win32" else f"{found.stem}.{name[:4]}"
