"""A large file of which a part changed: the blocks that the other side has at the same place do not travel.

A patch is pairs of u64, how many bytes stay and how many are fresh, the fresh ones after each pair.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from colab_remote.both.pieces import Pieces

SMALLEST = 1 << 16  # bytes of a file that is worth asking about
_DIGEST = 8  # bytes; the whole file's own digest is compared in the end
_PAIR = struct.Struct("!QQ")
_PIECE = 1 << 18


def block_size(size: int) -> int:
    """Bytes of a block of a file of `size`: near its square root, which keeps digests and blocks both few."""
    return int(max(1 << 12, 1 << ((size.bit_length() + 1) // 2)))


def digests_length(size: int) -> int:
    """How long the digests of a file of `size` bytes are."""
    return -(-size // block_size(size)) * _DIGEST


def block_digests(file: BinaryIO, size: int) -> bytes:
    """The digests of the blocks of a file that was seen to have `size` bytes."""
    block = block_size(size)
    return b"".join(_digest(file.read(block)) for _ in range(-(-size // block)))


def fresh_parts(file: BinaryIO, size: int, digests: bytes, old_size: int) -> list[tuple[int, int]]:
    """Pairs of bytes that stay and bytes that are fresh, which make an old file with those digests into `file`."""
    block = block_size(old_size)
    pairs: list[list[int]] = [[0, 0]]
    for number in range(-(-size // block)):
        piece = file.read(block)
        same = _digest(piece) == digests[number * _DIGEST : (number + 1) * _DIGEST]
        if same and pairs[-1][1]:
            pairs.append([0, 0])
        pairs[-1][0 if same else 1] += min(block, size - number * block)
    return [(stays, fresh) for stays, fresh in pairs]


def patch_length(pairs: Iterable[tuple[int, int]]) -> int:
    """How long the patch with those parts is."""
    return sum(_PAIR.size + fresh for _, fresh in pairs)


def pack_patch(file: BinaryIO, pairs: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """The patch; a file that has become shorter is filled up, which its digest tells."""
    file.seek(0)
    for stays, fresh in pairs:
        yield _PAIR.pack(stays, fresh)
        file.seek(stays, 1)
        while fresh:
            piece = file.read(min(fresh, _PIECE)) or bytes(min(fresh, _PIECE))
            fresh -= len(piece)
            yield piece


def patched(old: BinaryIO, patch: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The new file of `size` bytes, made of the old one and its patch. Raises ValueError for one that is damaged."""
    pieces = Pieces(patch)
    done = 0
    while done < size:
        stays, fresh = _PAIR.unpack(b"".join(pieces.take(_PAIR.size)))
        if not stays + fresh or done + stays + fresh > size:
            raise ValueError("a patch that makes no sense")
        old.seek(done)
        left = stays
        while left:
            piece = old.read(min(left, _PIECE)) or bytes(min(left, _PIECE))
            left -= len(piece)
            yield piece
        yield from pieces.take(fresh)
        done += stays + fresh


def _digest(piece: bytes) -> bytes:
    return hashlib.blake2b(piece, digest_size=_DIGEST).digest()
