"""The laptop's half of a conversation with an agent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from colab_remote.both.memory import keep_freed_memory
from colab_remote.both.protocol import (
    Frame,
    Garbled,
    Kind,
    Sender,
    Taken,
    Tally,
    chunked,
    pack,
    pack_json,
    read_frame,
)
from colab_remote.errors import ColabRemoteError, Conflicts, NotStarted, Refused, Unreachable

if TYPE_CHECKING:
    from colab_remote.laptop.hosts import Host

LARGE = 1 << 20  # bytes that are taken from a stream at once
NEAR = 0.005  # seconds of a round trip: this machine or one of its own network
NO_LISTING = "the runtime answered with something that is no listing"
_MANY = 16 << 20  # bytes going up from which on several streams are worth the three round trips that they cost
_ERRORS: dict[str, type[ColabRemoteError]] = {
    kind.code: kind for kind in (ColabRemoteError, Refused, Conflicts, Unreachable, NotStarted)
}


class Stream(Protocol):
    """What a conversation needs of a connection: a socket has it, and paramiko's channel."""

    def recv(self, count: int, /) -> bytes:
        """Up to `count` bytes, none at the end of file."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of `data`."""

    def shutdown(self, how: int, /) -> None:
        """End one direction, or both: `socket.SHUT_WR` and its like."""

    def close(self) -> None:
        """End it."""


class Way(Protocol):
    """What a conversation needs to know of the connection that it goes over."""

    host: Host
    quickest: float  # seconds of the quickest round trip so far, 0 before the first

    def open_port(self, port: int) -> Stream:
        """A stream to a port of the agent's loopback."""


class Reply(NamedTuple):
    """A whole answer: what END said, and the DATA before it."""

    result: dict[str, Any]
    data: bytes

    def listing(self) -> list[dict[str, Any]]:
        """The objects that the DATA lists as JSON. Raises ColabRemoteError where it lists none."""
        try:
            found = json.loads(self.data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise ColabRemoteError(NO_LISTING)
        return found


class Exchange:
    """One call and its answer: iterate over DATA (bytes) and EVENTs (dicts), then read `result`."""

    def __init__(self, conversation: Conversation, request: int) -> None:
        self._conversation, self._request = conversation, request
        self.result: dict[str, Any] = {}

    def __iter__(self) -> Iterator[bytes | dict[str, Any]]:
        tally = Tally()
        while True:
            frame = self._conversation.next_frame(self._request)
            if frame.kind is Kind.DATA:
                tally.add(frame.payload)
                yield frame.payload
            elif frame.kind is Kind.EVENT:
                yield frame.json()
            elif frame.kind is Kind.END:
                self.result = frame.json()
                tally.check(self.result)
                return
            elif frame.kind is Kind.ERROR:
                raise _error(frame.json())

    def whole(self) -> Reply:
        """Wait for all of it."""
        data = b"".join(piece for piece in self if isinstance(piece, bytes))
        return Reply(self.result, data)

    def send(self, data: bytes) -> None:
        """Send DATA after the call, now."""
        self._conversation.send(pack(Kind.DATA, self._request, data))

    def tell(self, value: dict[str, Any]) -> None:
        """Send an EVENT after the call."""
        self._conversation.send(pack_json(Kind.EVENT, self._request, value))

    def cancel(self) -> None:
        """Ask the agent to end this answer early; it still ends with END."""
        self._conversation.send(pack(Kind.CANCEL, self._request))


class Conversation:
    """Calls to one agent, answered in the order they were made. Raises Unreachable when contact is lost."""

    def __init__(self, stream: Stream, way: Way) -> None:
        self._stream, self.host, self.open_port = stream, way.host.name, way.open_port
        self._lanes: Sequence[Stream] = ()
        self._bodies = cycle((stream,))  # what sends the next frame of a body
        self._requests = 0
        self._sender = Sender(self._send_body)
        self._sender.near = 0 < way.quickest < NEAR
        keep_freed_memory()
        self._taken = Taken(lambda missing: stream.recv(LARGE))

    def ask(self, method: str, body: Iterable[bytes] | None = None, **arguments: Any) -> Reply:
        """Call, and wait for the whole answer."""
        return self.start(method, body, **arguments).whole()

    def start(self, method: str, body: Iterable[bytes] | None = None, **arguments: Any) -> Exchange:
        """Call, with `body` as the DATA after it where the method takes one; several may be under way.

        Raises ColabRemoteError for `arguments` that no frame takes; nothing has been sent then.
        """
        self._requests += 1
        request = self._requests
        called = {"method": method, "arguments": arguments, "body": body is not None, "near": self._sender.near}
        self.send(self._packed(request, called))
        if body is not None:
            tally = Tally()
            for chunk in chunked(body):
                tally.add(chunk)
                self._sender.data(request, chunk)
            self._send_body(pack_json(Kind.END, request, tally.facts()))
        return Exchange(self, request)

    def _packed(self, request: int, called: dict[str, Any]) -> bytes:
        try:
            return pack_json(Kind.CALL, request, called)
        except Garbled as error:
            raise ColabRemoteError(
                f"that is too much to ask of `{self.host}` at once: {error}",
                "put what is long, of a command or its variables, into a file of the project",
            ) from None

    def send(self, data: bytes) -> None:
        """Send a frame's bytes."""
        self._send(self._stream, data)

    def prepare_for(self, count: int) -> None:
        """Have `count` bytes go up quickly: where they are many, bodies go over several streams from now on."""
        if count < _MANY or self._lanes:
            return
        from colab_remote.laptop.lanes import open_lanes  # most conversations bring little

        self._lanes = open_lanes(self)
        self._bodies = cycle(self._lanes or (self._stream,))

    def _send_body(self, data: bytes) -> None:
        self._send(next(self._bodies), data)

    def _send(self, stream: Stream, data: bytes) -> None:
        try:
            stream.sendall(data)
        except (OSError, EOFError) as error:  # the latter from paramiko, when the connection has just broken
            raise self._lost() from error

    def next_frame(self, request: int) -> Frame:
        """The next frame that answers `request`; what is left of earlier answers is passed over."""
        while True:
            try:
                frame = read_frame(self._taken)
            except (OSError, Garbled) as error:
                raise self._lost() from error
            if frame is None:
                raise self._lost()
            if frame.request == request:
                return frame

    def close(self) -> None:
        """Hang up; the agent ends."""
        for stream in (self._stream, *self._lanes):
            stream.close()

    def _lost(self) -> Unreachable:
        return Unreachable(
            f"contact with `{self.host}` was lost before its answer was complete",
            "run the command again; `colab-remote list` shows whether the runtime answers",
        )


def _error(said: dict[str, Any]) -> ColabRemoteError:
    kind = _ERRORS.get(str(said.get("code")), ColabRemoteError)
    return kind(str(said.get("message")), str(said.get("hint", "")))
