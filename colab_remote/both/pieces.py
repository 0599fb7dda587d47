"""A stream of bytes that comes in chunks, taken by line or by length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

LONGEST_LINE = 1 << 17  # bytes; a path has at most 4096, and JSON may write each as six


class Pieces:
    """The stream. Raises ValueError where it ends early."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._start = 0  # of what is not taken yet: cutting it off the chunk each time would copy the rest

    def lines(self, longest: int = LONGEST_LINE) -> Iterator[bytes]:
        """Lines until the stream ends; between two of them `take` may be used."""
        while True:
            end = self._chunk.find(b"\n", self._start)
            if end >= 0:
                line, self._start = self._chunk[self._start : end], end + 1
                yield line
            elif len(self._chunk) - self._start > longest:
                raise ValueError("a line without end")
            elif not self._more():
                if self._start < len(self._chunk):
                    raise ValueError("a line was cut off")
                return

    def take(self, count: int) -> Iterator[bytes]:
        """The next `count` bytes, in pieces."""
        while count:
            if self._start == len(self._chunk) and not self._more():
                raise ValueError("a file was cut off")
            piece = self._chunk[self._start : self._start + count]
            self._start += len(piece)
            count -= len(piece)
            yield piece

    def _more(self) -> bool:
        piece = next(self._chunks, b"")
        self._chunk, self._start = self._chunk[self._start :] + piece, 0
        return bool(piece)
