"""The digest of a file's content: SHA-256, which processors have instructions for, cut to 128 bits.

Of what is large it is the digest of its parts' digests, which several cores make.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from colab_remote.both.place import open_plain

PART = 4 << 20  # bytes
_PIECE = 1 << 20
_LENGTH = 32  # hexadecimal digits


class Digest:
    """The digest of content that comes piece by piece, as hashlib's are used."""

    def __init__(self, content: bytes = b"") -> None:
        self._parts: list[bytes] = []
        self._part, self._taken = hashlib.sha256(), 0
        self.update(content)

    def update(self, piece: bytes) -> None:
        """Take in what comes next."""
        while piece:
            if self._taken == PART:
                self._parts.append(self._part.digest())
                self._part, self._taken = hashlib.sha256(), 0
            fits = piece[: PART - self._taken]
            self._part.update(fits)
            self._taken += len(fits)
            piece = piece[len(fits) :]

    def hexdigest(self) -> str:
        """Of all that came until now."""
        return _whole([*self._parts, self._part.digest()])


def digest_of(place: str | Path) -> str:
    """The same of the file at `place`, no link and no FIFO. Raises OSError."""
    with open_plain(place) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _PIECE:
            return _whole([hashlib.sha256(file.read(size) or b"").digest()])
    from concurrent.futures import ThreadPoolExecutor  # most projects hold small files only

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashlib and reading let other threads go on
        return _whole(list(pool.map(partial(_part_at, place), range(0, size, PART))))


def _part_at(place: str | Path, start: int) -> bytes:
    digest, left = hashlib.sha256(), PART
    with open_plain(place) as file:
        file.seek(start)
        while left and (piece := file.read(min(left, _PIECE))):
            digest.update(piece)
            left -= len(piece)
    return digest.digest()


def _whole(parts: Sequence[bytes]) -> str:
    # SHA-512 here: no small file, which holds the parts' digests, has the large one's.
    whole = parts[0] if len(parts) == 1 else hashlib.sha512(b"".join(parts)).digest()
    return whole.hex()[:_LENGTH]
