"""A job's log, followed while the network is cut and the follower killed; used by the suite and scripts/chaos."""

from __future__ import annotations

import random
import time
from pathlib import Path

from bad_network import BadNetwork
from sides import PATIENCE, Laptop, Runtime, Started

# Pieces of any size and content, some of them several at once, for about `seconds`.
_WRITES = """
import os, random, time
draw, end = random.Random({seed}), time.monotonic() + {seconds}
while time.monotonic() < end:
    os.write(1 + draw.randrange(2), draw.randbytes(int(10 ** (5 * draw.random()))) + draw.choice([b"", b"\\r", b"\\n"]))
    time.sleep(0.05 * draw.random())
"""


class LogStorm:
    """Rounds of one job each. `cuts` counts what was survived."""

    def __init__(self, laptop: Laptop, runtime: Runtime, network: BadNetwork, seed: int) -> None:
        self.laptop, self.runtime, self.network, self.random = laptop, runtime, network, random.Random(seed)
        self.cuts = 0
        ticket = runtime.ticket.replace(f":{runtime.port}/", f":{network.port}/")
        runtime.admit(laptop.public_line())
        assert laptop("connect", ticket, "--open", "none").returncode == 0

    def round(self, cuts: int) -> None:
        """The log is followed across the cuts: a prefix at every moment, whole in the end, here and on the screen."""
        words = _WRITES.format(seed=self.random.random(), seconds=0.6 * cuts)
        started = self.laptop("run", "--detach", "--", "python3", "-c", words)
        assert started.returncode == 0, started.stderr
        job = started.stdout.strip()
        follower, shown = self._follow(job)
        for _ in range(cuts):
            time.sleep(0.3 + 0.5 * self.random.random())
            if self.random.random() < 0.2:
                follower.kill()
                follower.wait()
                follower, shown = self._follow(job)
            self.network.cut()
            self.cuts += 1
            self._compare(job, whole=False)
        errors = follower.communicate(timeout=3 * PATIENCE)[1]
        assert follower.returncode == 0, errors
        assert shown.read_bytes() == self._compare(job, whole=True), "the screen is not the log"

    def _follow(self, job: str) -> tuple[Started, Path]:
        shown = self.laptop.home / f"shown-{self.random.random()}"
        return self.laptop.started("logs", "-f", job, into=shown), shown

    def _compare(self, job: str, *, whole: bool) -> bytes:
        """The runtime's log, of which the laptop's is a prefix."""
        home = self.laptop.home / ".local/state/colab-remote/jobs" / job / "log"
        here = home.read_bytes() if home.exists() else b""
        there = (self.runtime.state / "jobs" / job / "log").read_bytes()
        assert there.startswith(here), f"{len(here)} bytes here are no prefix of {len(there)} there"
        assert not whole or here == there
        return there
