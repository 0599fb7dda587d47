"""One conversation: calls come in on stdin, answers go out on stdout, one at a time."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle
from typing import Any

from colab_remote.both.protocol import (
    Frame,
    Garbled,
    Kind,
    Refusal,
    Sender,
    Taken,
    Tally,
    chunked,
    pack_json,
    read_frame,
)
from colab_remote.both.whole import FULL_DISK

_FULL_PACKET = 1 << 15


class Hangup(Exception):
    """The laptop is gone; nobody waits for an answer."""


class Wire:
    """The conversation's two file descriptors, with the buffer that lets `select` be trusted."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self.sender = Sender(self.write)
        self._taken = self._read_by(lambda count: os.read(source, count))
        self._bodies = cycle((self._taken,))
        self._waiting = bytearray()

    def frame(self) -> Frame | None:
        """The next frame, None when the laptop has closed its side."""
        return read_frame(self._taken)

    def body_frame(self) -> Frame | None:
        """The next frame of a body."""
        return read_frame(next(self._bodies))

    def take_bodies_from(self, lanes: Sequence[socket.socket]) -> None:
        """From now on bodies come on these streams, each frame on the next one in turn."""
        self._bodies = cycle([self._read_by(lane.recv) for lane in lanes])

    def ready(self, seconds: float) -> bool:
        """Whether bytes (or the end of file) are there within `seconds`."""
        self.flush()
        return bool(self._taken) or bool(select.select([self._source], [], [], seconds)[0])

    def write(self, data: bytes) -> None:
        """Send all of `data`, at the latest when the laptop is listened to again. Raises Hangup."""
        # sshd lets a second small packet wait until the first has arrived: a round trip for nothing.
        self._waiting += data
        if len(self._waiting) >= _FULL_PACKET:
            self.flush()

    def _read_by(self, read: Callable[[int], bytes]) -> Taken:
        def more(missing: int) -> bytes:
            self.flush()
            return read(max(missing, 1 << 16))

        return Taken(more)

    def flush(self) -> None:
        """Send what waits. Raises Hangup."""
        data, self._waiting = self._waiting, bytearray()
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._sink, view) :]
        except BrokenPipeError:
            raise Hangup from None


class Call:
    """One request being answered: what a method sees of the conversation."""

    def __init__(self, wire: Wire, request: int, method: str, arguments: dict[str, Any]) -> None:
        self.method, self.arguments = method, arguments
        self._wire, self._request, self._sent = wire, request, Tally()
        self._body = self._checked_body()

    def body(self) -> Iterator[bytes]:
        """The DATA that follows the call, checked against its END. Raises Hangup where it is cut off."""
        return self._body

    def pass_over_body(self) -> None:
        """Take what the method has left of it: the laptop would wait for that, and the next call find it."""
        for _ in self._body:
            pass

    def _checked_body(self) -> Iterator[bytes]:
        tally = Tally()
        for frame in self._following(self._wire.body_frame):
            if frame.kind is Kind.END:
                tally.check(frame.json())
                return
            tally.add(frame.payload)
            yield frame.payload

    def frames(self) -> Iterator[Frame]:
        """All that follows the call. Raises Hangup where the laptop cancels it or is gone."""
        return self._following(self._wire.frame)

    def _following(self, next_frame: Callable[[], Frame | None]) -> Iterator[Frame]:
        while True:
            frame = next_frame()
            if frame is None or frame.kind is Kind.CANCEL:
                raise Hangup
            yield frame

    def take_bodies_from(self, lanes: Sequence[socket.socket]) -> None:
        """Have the bodies of the calls after this one come on these streams."""
        self._wire.take_bodies_from(lanes)

    def send(self, pieces: Iterable[bytes]) -> None:
        """Answer with DATA."""
        for chunk in chunked(pieces):
            self._sent.add(chunk)
            self._wire.sender.data(self._request, chunk)

    def event(self, value: dict[str, Any]) -> None:
        """Tell the laptop something before the answer ends, together with the DATA that follows."""
        self._wire.write(pack_json(Kind.EVENT, self._request, value))

    def cancelled(self, wait: float) -> bool:
        """Whether the laptop has cancelled this call or hung up, waiting up to `wait` seconds for it.

        For methods that follow something: they call it between two looks.
        """
        deadline = time.monotonic() + wait
        while self._wire.ready(max(0.0, deadline - time.monotonic())):
            frame = self._wire.frame()
            if frame is None:
                raise Hangup
            if frame.kind is Kind.CANCEL and frame.request == self._request:
                return True
        return False

    def end(self, result: dict[str, Any]) -> None:
        """Close the answer."""
        self._wire.write(pack_json(Kind.END, self._request, {**result, **self._sent.facts()}))

    def fail(self, refusal: Refusal) -> None:
        """Close the answer with a sentence."""
        error = {"code": refusal.code, "message": refusal.message, "hint": refusal.hint}
        self._wire.write(pack_json(Kind.ERROR, self._request, error))


Method = Callable[[Call], dict[str, Any]]


def serve(wire: Wire, greeting: str, load: Callable[[], dict[str, Method]]) -> None:
    """Greet, then answer calls until the laptop closes its side; `load` gives the methods."""
    wire.write(f"{greeting}\n".encode())
    try:
        wire.flush()
        methods = load()  # while the greeting travels, and the first call after it
        while True:
            frame = wire.frame()
            if frame is None:
                return
            if frame.kind is Kind.CALL:
                _answer(wire, frame, methods)
    except (Hangup, Garbled):
        return


def _answer(wire: Wire, frame: Frame, methods: dict[str, Method]) -> None:
    asked = frame.json()
    wire.sender.near = asked.get("near", False)
    call = Call(wire, frame.request, asked["method"], asked["arguments"])
    try:
        call.end(methods[call.method](call))
    except Refusal as refusal:
        call.fail(refusal)
    except OSError as error:
        call.fail(_sentence(error))
    if asked.get("body"):
        call.pass_over_body()


def _sentence(error: OSError) -> Refusal:
    where = f" at `{error.filename}`" if error.filename else ""
    if error.errno in FULL_DISK:
        return Refusal("failed", f"the runtime's disk is full{where}", "free some space there, then run it again")
    return Refusal("failed", f"the runtime refused: {error.strerror or type(error).__name__}{where}")
