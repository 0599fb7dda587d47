"""The hosts that a laptop knows, on its disk."""

from __future__ import annotations

from sides import Host


def test_a_host_connects(host: Host) -> None:
    done = host.laptop("status", "--json")
    assert done.returncode == 0, done.stderr
