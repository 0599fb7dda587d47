"""The digest of a file: the same however it is made, another for any other content."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colab_remote.both.digest import PART, Digest, digest_of

CONTENT = random.Random(1).randbytes(3 * PART)


def in_pieces(content: bytes, sizes: list[int]) -> str:
    """The digest of content that comes in pieces of these sizes, then of the rest."""
    digest = Digest()
    for size in sizes:
        digest.update(content[:size])
        content = content[size:]
    digest.update(content)
    return digest.hexdigest()


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART - 1])
def test_a_file_has_the_digest_of_what_came_in_pieces(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(CONTENT[:size])
    assert digest_of(tmp_path / "file") == in_pieces(CONTENT[:size], [size // 3])


@given(st.integers(0, 2 * PART), st.lists(st.integers(0, PART + 9), max_size=4))
def test_pieces_of_any_sizes_make_the_same(size: int, sizes: list[int]) -> None:
    assert in_pieces(CONTENT[:size], sizes) == in_pieces(CONTENT[:size], [])


def test_a_small_file_has_its_plain_digest(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"small")
    assert digest_of(str(tmp_path / "file")) == hashlib.sha256(b"small").hexdigest()[:32]


def test_the_digests_of_its_parts_are_another_content(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(CONTENT)
    parts = (CONTENT[start : start + PART] for start in range(0, len(CONTENT), PART))
    (tmp_path / "small").write_bytes(b"".join(hashlib.sha256(part).digest() for part in parts))
    assert digest_of(tmp_path / "large") != digest_of(tmp_path / "small")


@pytest.mark.parametrize("place", [0, PART - 1, PART, 3 * PART - 1])
def test_any_byte_counts(tmp_path: Path, place: int) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    before = digest_of(tmp_path / "file")
    with (tmp_path / "file").open("r+b") as file:
        file.seek(place)
        file.write(bytes([CONTENT[place] ^ 1]))
    assert digest_of(tmp_path / "file") != before


def test_neither_a_link_is_followed_nor_a_fifo_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match="symbolic"):
        digest_of(tmp_path / "link")
    os.mkfifo(tmp_path / "fifo")
    assert digest_of(tmp_path / "fifo") == Digest().hexdigest()
