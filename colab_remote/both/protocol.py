"""Frames between laptop and agent: u32 length, u8 type, u32 request, payload.

CALL, END, ERROR and EVENT carry JSON; DATA carries raw bytes, or deflated ones where a bit of the type says
so. Every answer ends in END, which counts and sums its DATA, or in ERROR; an end of file before that is
lost contact, because a killed connection looks like a clean end.
"""

from __future__ import annotations

import json
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import Any, NamedTuple

GREETING = "colab-remote-agent 1"
LARGEST = 1 << 20  # bytes of one payload, as it travels and inflated
CHUNK = 1 << 18
DEFLATED = 0x80
_HEADER = struct.Struct("!IBI")
_SAMPLE = 4096
_BEGINNING = 1024  # bytes of a piece that are summed
_LEVEL = 4  # of 1 to 9: an eighth smaller than with 1, in half as much time again; more takes twice the time for little
_MEMORY = 0.99  # of what was measured, at each frame: long, as those that a buffer takes seem to take no time
_OFTEN = 8  # one part in so many of the time
_DOUBT = 4  # a near line keeps us waiting so many times longer than deflating takes, or else the other end does so
_BUFFERED = 8 << 20  # twice the bytes that buffers on the way take at once: the line's own speed has shown by then


class Kind(IntEnum):
    """What a frame is."""

    CALL = 1
    DATA = 2
    END = 3
    ERROR = 4
    CREDIT = 5
    CANCEL = 6
    EVENT = 7


class Frame(NamedTuple):
    """One frame, its DATA inflated."""

    kind: Kind
    request: int
    payload: bytes

    def json(self) -> dict[str, Any]:
        """The payload as a JSON object. Raises Garbled."""
        try:
            value = json.loads(self.payload)
        except (ValueError, RecursionError):
            raise Garbled("a frame holds no JSON") from None
        if not isinstance(value, dict):
            raise Garbled("a frame holds no JSON object")
        return value


class Garbled(ValueError):
    """The other end does not speak this protocol; the conversation is over."""


class Refusal(Exception):
    """The agent's answer is a sentence: `code` is that of one of the laptop's errors."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


class Tally:
    """Counts the DATA of one answer or body, and sums the beginning of each piece, for its END.

    That finds pieces which we ourselves would lose or mix up; what SSH carries is guarded by its MAC, files by digests.
    """

    def __init__(self) -> None:
        self.bytes = self._crc = 0

    def add(self, data: bytes) -> None:
        """Take in the next piece."""
        self.bytes += len(data)
        self._crc = zlib.crc32(data[:_BEGINNING], self._crc)

    def facts(self) -> dict[str, Any]:
        """What END says about the DATA before it."""
        return {"bytes": self.bytes, "crc": self._crc}

    def check(self, end: dict[str, Any]) -> None:
        """Raise Garbled unless `end` tells of exactly what was added."""
        if {name: end.get(name) for name in ("bytes", "crc")} != self.facts():
            raise Garbled("what arrived is not what was sent")


def pack(kind: Kind, request: int, payload: bytes = b"") -> bytes:
    """A frame's bytes."""
    return _HEADER.pack(len(payload), kind, request) + payload


def pack_json(kind: Kind, request: int, value: dict[str, Any]) -> bytes:
    """A frame's bytes with `value` as its payload. Raises Garbled for one that is too large."""
    payload = json.dumps(value, separators=(",", ":")).encode("ascii")
    if len(payload) > LARGEST:
        raise Garbled(f"{len(payload)} bytes of JSON do not fit one frame")
    return pack(kind, request, payload)


class _Speed:
    """Bytes a second, the latest counting most."""

    def __init__(self) -> None:
        self._bytes = self._seconds = 0.0

    def add(self, count: int, seconds: float) -> None:
        self._bytes, self._seconds = self._bytes * _MEMORY + count, self._seconds * _MEMORY + seconds

    def seconds(self, count: float) -> float:
        """How long that many bytes take; none before anything was learned."""
        return count * self._seconds / self._bytes if self._bytes else 0.0


class Sender:
    """Sends DATA frames through `write`, deflated where they arrive sooner for it.

    Where the other end is `near` the line is taken for a fast one until the contrary is clear, else for a slow one.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write, self.near = write, False
        self._sent = 0
        self._ended = time.perf_counter()
        self._waited, self._passed, self._deflating = _Speed(), _Speed(), _Speed()
        self._shrinks = 0.5

    def data(self, request: int, data: bytes) -> None:
        """Send up to LARGEST bytes."""
        frame = self._deflated(request, data) if self._pays(len(data)) and _is_thin(data) else None
        frame = frame or pack(Kind.DATA, request, data)
        started = time.perf_counter()
        self._write(frame)
        before, self._ended = self._ended, time.perf_counter()
        self._sent += len(frame)
        self._waited.add(len(frame), self._ended - started)
        self._passed.add(len(frame), self._ended - before)

    def _pays(self, count: int) -> bool:
        """Whether the line needs longer for what deflating saves than that takes."""
        less = count * (1 - self._shrinks)
        waited, passed = self._waited.seconds(less), self._passed.seconds(less)
        # What keeps us waiting again and again is busy all the time, buffers or not; else it is faster than we are.
        saved = passed if waited * _OFTEN > passed else waited
        if self.near:
            return saved > _DOUBT * self._deflating.seconds(count)
        return self._sent <= _BUFFERED or saved > self._deflating.seconds(count)

    def _deflated(self, request: int, data: bytes) -> bytes | None:
        started = time.perf_counter()
        squeezed = zlib.compress(data, _LEVEL)
        self._deflating.add(len(data), time.perf_counter() - started)
        self._shrinks = len(squeezed) / len(data)
        if len(squeezed) >= len(data):
            return None
        return _HEADER.pack(len(squeezed), Kind.DATA | DEFLATED, request) + squeezed


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of at most CHUNK, so that small files share a frame and large ones fit."""
    waiting = bytearray()
    for piece in pieces:
        if len(piece) == CHUNK:  # a part of a large file, which is not copied
            if waiting:
                yield bytes(waiting)
                waiting.clear()
            yield piece
            continue
        waiting += piece
        while len(waiting) >= CHUNK:
            yield bytes(waiting[:CHUNK])
            del waiting[:CHUNK]
    if waiting:
        yield bytes(waiting)


class Taken:
    """Gives exactly as many bytes as are asked for, fewer only at the end of file, from what gives any number."""

    def __init__(self, more: Callable[[int], bytes]) -> None:
        self._more = more  # given how many are missing
        self._piece, self._start = memoryview(b""), 0  # a view: what is cut out of bytes is a copy

    def __bool__(self) -> bool:
        """Whether some are there already."""
        return self._start < len(self._piece)

    def __call__(self, count: int) -> bytes:
        parts = []
        while count:
            if not self:
                self._piece, self._start = memoryview(self._more(count)), 0
                if not self._piece:
                    break
            part = self._piece[self._start : self._start + count]
            self._start += len(part)
            count -= len(part)
            parts.append(part)
        return b"".join(parts)


def read_frame(read: Callable[[int], bytes]) -> Frame | None:
    """The next frame through `read(n)`, which gives n bytes, or fewer at the end of file; None at its end."""
    header = read(_HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise Garbled("a frame was cut off")
    length, kind, request = _HEADER.unpack(header)
    if length > LARGEST:
        raise Garbled(f"a frame of {length} bytes is too large")
    payload = read(length)
    if len(payload) < length:
        raise Garbled("a frame was cut off")
    if kind == Kind.DATA | DEFLATED:
        return Frame(Kind.DATA, request, _inflate(payload))
    try:
        return Frame(Kind(kind), request, payload)
    except ValueError:
        raise Garbled(f"frames of type {kind} are unknown") from None


def _is_thin(data: bytes) -> bool:
    """Whether deflating makes it smaller, by its beginning."""
    sample = data[:_SAMPLE]
    return len(zlib.compress(sample, 1)) < 0.9 * len(sample)


def _inflate(payload: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(payload, LARGEST)
    except zlib.error:
        raise Garbled("a deflated frame is damaged") from None
    if not inflater.eof or inflater.unconsumed_tail:
        raise Garbled("a deflated frame is damaged or too large")
    return data
