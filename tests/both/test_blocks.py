"""Patches: what comes out is the new file, and little travels where little changed."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colab_remote.both.blocks import (
    block_digests,
    digests_length,
    fresh_parts,
    pack_patch,
    patch_length,
    patched,
)

SIZES = st.integers(1, 40_000)


def patch_of(old: bytes, new: bytes) -> bytes:
    digests = block_digests(io.BytesIO(old), len(old))
    assert len(digests) == digests_length(len(old))
    parts = fresh_parts(io.BytesIO(new), len(new), digests, len(old))
    patch = b"".join(pack_patch(io.BytesIO(new), parts))
    assert len(patch) == patch_length(parts)
    return patch


def made(old: bytes, patch: bytes, size: int, piece: int = 7000) -> bytes:
    pieces = (patch[start : start + piece] for start in range(0, len(patch), piece))
    return b"".join(patched(io.BytesIO(old), pieces, size))


@given(SIZES, SIZES, st.lists(st.integers(0, 39_999), max_size=5), st.integers(1, 9000))
def test_a_patch_makes_the_old_file_into_the_new_one(size: int, new_size: int, edits: list[int], piece: int) -> None:
    old = random.Random(0).randbytes(40_000)
    new = bytearray(old[:new_size])
    for place in edits:
        if place < new_size:
            new[place] ^= 1
    assert made(old[:size], patch_of(old[:size], bytes(new)), new_size, piece) == new


def test_what_is_appended_or_changed_in_place_is_nearly_all_that_travels() -> None:
    old = random.Random(1).randbytes(10_000_000)
    assert len(patch_of(old, old + b"x" * 1000)) < 6000
    changed = old[:5_000_000] + bytes(100_000) + old[5_100_000:]
    assert len(patch_of(old, changed)) < 110_000
    assert len(patch_of(old, old[:4_000_000])) < 5000


@pytest.mark.parametrize(
    "patch",
    [b"", b"\0" * 16, b"\xff" * 16, b"\0" * 7 + b"\x0b" + b"\0" * 8, b"\0" * 15 + b"\5abc", b"\0" * 15 + b"\x0b"],
    ids=repr,
)
def test_a_patch_that_makes_no_sense_is_refused(patch: bytes) -> None:
    with pytest.raises(ValueError, match=r"makes no sense|cut off"):
        made(b"x" * 10, patch, 10)
