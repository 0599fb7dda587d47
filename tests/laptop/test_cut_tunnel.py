"""A tunnel of each kind that is cut for a moment; `scripts/chaos tunnel` cuts it for longer."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from cut_tunnel import Cut, sync_through_a_cut, work_through_a_cut
from sides import Laptop, Runtime
from ways import NO_PROGRAMS, PROGRAMS, WAYS

RATE = 10_000_000  # bytes a second


@pytest.mark.parametrize(
    ("way", "cut"),
    [("direct", "broken"), ("http", "held"), ("http", "broken"), ("relay", "held"), ("google", "broken")],
)
def test_after_a_cut_of_a_second(laptop: Laptop, runtime: Runtime, tmp_path: Path, way: str, cut: Cut) -> None:
    if way == "google" and not PROGRAMS.exists():
        pytest.skip(NO_PROGRAMS)
    runtime.admit(laptop.public_line())
    chance = random.Random(1)
    with WAYS[way](laptop, runtime, tmp_path, RATE) as network:
        work_through_a_cut(laptop, network, cut, 1.0, chance)
        sync_through_a_cut(laptop, network, cut, 1.0, chance, runtime.workdir / f"cut-{way}-{cut}")
        laptop.end_lines()


@pytest.mark.skipif(not PROGRAMS.exists(), reason=NO_PROGRAMS)
def test_a_network_that_is_gone_behind_googles_program_is_one(laptop: Laptop, runtime: Runtime, tmp_path: Path) -> None:
    runtime.admit(laptop.public_line())
    with WAYS["google"](laptop, runtime, tmp_path, None) as network:
        laptop.end_lines()
        network.down()
        done = laptop("run", "--no-sync", "--", "true")
        assert (done.returncode, "Google's `colab` failed: WebSocket" in done.stderr) == (4, True), done.stderr
        network.up()
        assert laptop("run", "--no-sync", "--", "true").returncode == 0
