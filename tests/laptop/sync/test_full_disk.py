"""A disk that is full on either side: named, nothing torn, and the next sync goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from pair import Pair, new_pair, tree
from sides import SMALL_DISK as SIZE

from colab_remote.errors import ColabRemoteError


def test_what_cannot_fit_is_refused_before_anything_moves(tmp_path: Path, small_disk: Path) -> None:
    pair = Pair(new_pair(tmp_path).here, small_disk)
    (pair.here / "large").write_bytes(b"x" * 2 * SIZE)
    with pytest.raises(ColabRemoteError, match="disk of `colab` is too full: 2,097,152 bytes are to come"):
        pair.sync()
    assert not pair.there.exists()


def test_a_disk_that_fills_up_meanwhile_is_named_and_nothing_is_torn(tmp_path: Path, small_disk: Path) -> None:
    pair = Pair(new_pair(tmp_path).here, small_disk)
    # Pages are 4 kB: what fits by its bytes does not fit by its blocks.
    for number in range(300):
        (pair.here / f"{number:03}").write_bytes(b"x" * 10)
    with pytest.raises(ColabRemoteError, match=r"is full: .* files did not fit"):
        pair.sync()
    whole = {name: value for name, value in tree(pair.here).items() if name in tree(pair.there)}
    assert tree(pair.there) == whole
    for number in range(200):
        (pair.here / f"{number:03}").unlink()
    (pair.here / "kept").write_text("x")
    pair.sync(prefer="local")
    assert tree(pair.there) == tree(pair.here)


def test_a_full_laptop_is_named_too(tmp_path: Path, small_disk: Path) -> None:
    far = new_pair(tmp_path)
    (small_disk / "digits").mkdir()
    (small_disk / "digits" / "colab-remote.toml").touch()
    pair = Pair(small_disk / "digits", far.workdir)
    pair.sync()
    (pair.there / "large").write_bytes(b"x" * 2 * SIZE)
    with pytest.raises(ColabRemoteError, match="disk of this laptop is too full"):
        pair.sync()
