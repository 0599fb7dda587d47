"""A tunnel that is cut for a moment; `scripts/chaos tunnel` cuts it for longer."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from bad_network import BadNetwork
from cut_tunnel import Cut, work_through_a_cut
from sides import Laptop, Runtime

from colab_remote.runtime.bridge import Bridge


@pytest.fixture
def network(laptop: Laptop, runtime: Runtime) -> Iterator[BadNetwork]:
    """The way from the laptop to the bridge before `colab`."""
    runtime.admit(laptop.public_line())
    bridge = Bridge("127.0.0.1", runtime.port)
    with BadNetwork(("127.0.0.1", bridge.port)) as network:
        ticket = runtime.ticket.replace("ssh://", "ws://").replace(f":{runtime.port}/", f":{network.port}/")
        done = laptop("connect", ticket, "--open", "none")
        assert done.returncode == 0, done.stderr
        yield network
        laptop.end_lines()
    bridge.close()


@pytest.mark.parametrize("cut", ["held", "broken"])
def test_after_a_cut_of_a_second(laptop: Laptop, network: BadNetwork, cut: Cut) -> None:
    work_through_a_cut(laptop, network, cut, 1.0, random.Random(1))
