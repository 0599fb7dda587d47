"""Changes to a project's folder as they travel: a line of JSON for each, a file's bytes after it.

["set", path, before, after, length]   make `before` (what the receiver has) into `after`; null is nothing there
["no", path, reason]                   the sender could not keep its word about this path
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from colab_remote.both.place import Unfit, place_of
from colab_remote.both.protocol import CHUNK
from colab_remote.both.scan import Entry, entry_of

CHANGED = "changed meanwhile; the next sync settles it"
_LONGEST_LINE = 1 << 17  # bytes; a path has at most 4096, and JSON may write each as six


class Step(NamedTuple):
    """One change to one side: what is at `path` there, and what it is to become; None is nothing."""

    path: str
    before: Entry | None
    after: Entry | None

    @property
    def length(self) -> int:
        """Bytes of content that travel: none where the other side has the same under another mode."""
        if self.after is None or self.after.kind != "file":
            return 0
        same = self.before is not None and self.before.kind == "file" and self.before.mark == self.after.mark
        return 0 if same else self.after.size


class Pieces:
    """A stream of bytes, taken by line or by length. Raises ValueError where it ends early."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = b""

    def lines(self) -> Iterator[bytes]:
        """Lines until the stream ends; between two of them `take` may be used."""
        while True:
            line, end, rest = self._buffer.partition(b"\n")
            if end:
                self._buffer = rest
                yield line
            elif len(line) > _LONGEST_LINE:
                raise ValueError("a line without end")
            elif not self._more():
                if line:
                    raise ValueError("a line was cut off")
                return

    def take(self, count: int) -> Iterator[bytes]:
        """The next `count` bytes, in pieces."""
        while count:
            if not self._buffer and not self._more():
                raise ValueError("a file was cut off")
            piece, self._buffer = self._buffer[:count], self._buffer[count:]
            count -= len(piece)
            yield piece

    def _more(self) -> bool:
        piece = next(self._chunks, b"")
        self._buffer += piece
        return bool(piece)


def in_order(steps: Iterable[Step]) -> list[Step]:
    """Steps so that each finds its place free: what goes first, the deepest before its folder, then what comes."""
    listed = list(steps)
    going = sorted((step for step in listed if step.after is None), key=lambda step: step.path, reverse=True)
    return going + sorted((step for step in listed if step.after is not None), key=lambda step: step.path)


def pack_steps(root: str, steps: Iterable[Step]) -> Iterator[bytes]:
    """The steps with the content that `root` has for them."""
    for step in steps:
        try:
            yield from _packed(root, step)
        except (OSError, Unfit) as error:
            reason = CHANGED if isinstance(error, (FileNotFoundError, Unfit)) else f"cannot be read: {error.strerror}"
            yield _line("no", step.path, reason)


def pack_request(step: Step) -> bytes:
    """A step without content, for a side that is asked to send it."""
    return _line("set", step.path, step.before, step.after, 0)


def unpack(line: bytes) -> tuple[str, Any]:
    """`("no", (path, reason))` or `("set", (step, length))`. Raises ValueError."""
    try:
        word, path, *rest = json.loads(line)
        if word == "no":
            return word, (str(path), str(rest[0]))
        before, after, length = rest
        if word != "set" or not 0 <= int(length) < 1 << 63:
            raise ValueError("no record")
        return word, (Step(str(path), entry_of(before), entry_of(after)), int(length))
    except (TypeError, IndexError, RecursionError):
        raise ValueError("no record") from None


def _packed(root: str, step: Step) -> Iterator[bytes]:
    if not step.length:
        yield pack_request(step)
        return
    assert step.after is not None
    # A link put there since the scan is not followed, nor a FIFO waited for.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(place_of(root, step.path), flags), "rb") as file:
        if os.fstat(file.fileno()).st_size < step.length:
            raise FileNotFoundError
        yield _line("set", step.path, step.before, step.after, step.length)
        left = step.length
        while left:
            # A file that shrinks now is filled up; the receiver's digest tells.
            piece = file.read(min(left, CHUNK)) or bytes(min(left, CHUNK))
            left -= len(piece)
            yield piece


def _line(*words: object) -> bytes:
    return json.dumps(words, separators=(",", ":")).encode("ascii") + b"\n"
