"""Changes to a project's folder as they travel: a line of JSON for each, a file's bytes after it.

["set", path, before, after, length]     make `before` (what the receiver has) into `after`; null is nothing there
["patch", path, before, after, length]   the same, with a patch of `before`'s content
["no", path, reason]                     the sender could not keep its word about this path

A step that is asked for travels as a "set" too: after it come the digests of `before`'s blocks, or nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from colab_remote.both.blocks import SMALLEST, block_digests, digests_length, fresh_parts, pack_patch, patch_length
from colab_remote.both.pieces import Pieces
from colab_remote.both.place import Unfit, open_plain, place_of
from colab_remote.both.protocol import CHUNK
from colab_remote.both.scan import UNREADABLE, Entry, entry_of

# What json.dumps and json.loads do besides is felt with many files.
_encode, _decode = json.JSONEncoder(separators=(",", ":")).encode, json.JSONDecoder().decode
CHANGED = "changed meanwhile; the next sync settles it"


class Step(NamedTuple):
    """One change to one side: what is at `path` there, and what it is to become; None is nothing."""

    path: str
    before: Entry | None
    after: Entry | None

    @property
    def patchable(self) -> bool:
        """Whether a part of the content may be enough."""
        return self.before is not None and self.before.kind == "file" and min(self.before.size, self.length) >= SMALLEST

    @property
    def brings(self) -> bool:
        """Whether it makes a file's content, though it be none: not where the other side has it under another mode."""
        if self.after is None or self.after.kind != "file":
            return False
        return not (self.before is not None and self.before.kind == "file" and self.before.mark == self.after.mark)

    @property
    def length(self) -> int:
        """Bytes of content that travel."""
        return self.after.size if self.after is not None and self.brings else 0


def in_order(steps: Iterable[Step]) -> list[Step]:
    """Steps so that each finds its place free: what goes first, the deepest before its folder, then what comes."""
    listed = list(steps)
    going = sorted((step for step in listed if step.after is None), key=lambda step: step.path, reverse=True)
    return going + sorted((step for step in listed if step.after is not None), key=lambda step: step.path)


def pack_steps(root: str, steps: Iterable[Step], digests: Mapping[str, bytes]) -> Iterator[bytes]:
    """The steps with the content that `root` has for them; patches where `digests` has those of a path's blocks."""
    for step in steps:
        try:
            yield from _packed(root, step, digests.get(step.path))
        except (OSError, Unfit) as error:
            reason = CHANGED if isinstance(error, (FileNotFoundError, Unfit)) else f"{UNREADABLE}: {error.strerror}"
            yield _line("no", step.path, reason)


def pack_requests(steps: Iterable[Step], root: str | None = None) -> Iterator[bytes]:
    """Steps that are asked for; with the digests of what `root` has now, so that a patch may answer."""
    for step in steps:
        digests = _digests(root, step) if root is not None else b""
        yield _line("set", step.path, step.before, step.after, len(digests))
        yield digests


def unpack_requests(chunks: Iterable[bytes]) -> Iterator[tuple[Step, bytes]]:
    """The steps that are asked for, and their digests. Raises ValueError."""
    pieces = Pieces(chunks)
    for line in pieces.lines():
        word, value = unpack(line)
        if word != "set":
            raise ValueError("no request")
        step, length = value
        if length and (not step.patchable or length != digests_length(step.before.size)):
            raise ValueError("no digests")
        yield step, b"".join(pieces.take(length))


def unpack(line: bytes) -> tuple[str, Any]:
    """`("no", (path, reason))`, or `("set", (step, length))` and the same with "patch". Raises ValueError."""
    try:
        word, path, *rest = _decode(line.decode("ascii"))
        if word == "no":
            return word, (str(path), str(rest[0]))
        before, after, length = rest
        if word not in ("set", "patch") or not 0 <= int(length) < 1 << 63:
            raise ValueError("no record")
        return word, (Step(str(path), entry_of(before), entry_of(after)), int(length))
    except (TypeError, IndexError, RecursionError):
        raise ValueError("no record") from None


def _digests(root: str, step: Step) -> bytes:
    if not step.patchable:
        return b""
    assert step.before is not None
    try:
        with open_plain(place_of(root, step.path)) as file:
            return block_digests(file, step.before.size)
    except (OSError, Unfit):
        return b""  # what is wrong with it is told when it is to be replaced


def _packed(root: str, step: Step, digests: bytes | None) -> Iterator[bytes]:
    if not step.length:
        yield _line("set", step.path, step.before, step.after, 0)
        return
    with open_plain(place_of(root, step.path)) as file:
        if os.fstat(file.fileno()).st_size < step.length:
            raise FileNotFoundError
        if digests and step.before is not None:
            parts = fresh_parts(file, step.length, digests, step.before.size)
            length = patch_length(parts)
            if length < step.length:
                yield _line("patch", step.path, step.before, step.after, length)
                yield from pack_patch(file, parts)
                return
            file.seek(0)
        yield _line("set", step.path, step.before, step.after, step.length)
        left = step.length
        while left:
            # A file that shrinks now is filled up; the receiver's digest tells.
            piece = file.read(min(left, CHUNK)) or bytes(min(left, CHUNK))
            left -= len(piece)
            yield piece


def _line(*words: object) -> bytes:
    return _encode(words).encode("ascii") + b"\n"
