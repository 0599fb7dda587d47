"""A VM for every test that launches one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sides import Laptop
from vm import Vm, ours_left


@pytest.fixture
def vm(laptop: Laptop, tmp_path: Path) -> Iterator[Vm]:
    """A VM whose folders have a space and Korean letters in their names."""
    laptop.public_line()
    home = tmp_path / "가상 머신"
    home.mkdir()
    made = Vm(Laptop(home, {**laptop.env, "HOME": str(home)}), laptop, home / "state dir", home / "content")
    yield made
    started = ours_left(made)
    assert made.shutdown().returncode == 0
    assert not [pid for pid in started if psutil.pid_exists(pid)]
