"""Cuts and kills of `colab-remote sync` over a real sshd with edits going on: `chaos_sync.py [ROUNDS] [SEED]`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bad_network import BadNetwork  # noqa: E402
from pair import Pair  # noqa: E402
from sides import Laptop, started_sshd  # noqa: E402
from turmoil import Turmoil  # noqa: E402

PATIENCE = "50"  # seconds for a sync in peace to get there: a machine may be busy
HANDSHAKE = 8_000  # bytes that pass before a sync's own begin


@dataclass(frozen=True)
class Typed(Pair):
    """A pair that is synced by the real command."""

    laptop: Laptop

    def sync(self, through: object = None, **_: Any) -> Any:
        """What the command says; a conflict or any other error ends the chaos."""
        done = self.laptop("--timeout", PATIENCE, "sync", "--json", cwd=self.here)
        if done.returncode:
            raise AssertionError(done.stderr)
        return type("Said", (), json.loads(done.stdout))

    def start(self) -> subprocess.Popen[bytes]:
        """A sync under way."""
        words = [sys.executable, "-m", "colab_remote", "sync"]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(words, cwd=self.here, env=self.laptop.env, stdout=quiet, stderr=quiet)


class Storm(Turmoil):
    """Turmoil on a line that can be cut."""

    def __init__(self, pair: Typed, seed: int, network: BadNetwork) -> None:
        super().__init__(pair, seed)
        self.typed, self.network = pair, network

    def cut(self, budget: int) -> None:
        """Cut the line once that many bytes of the sync have passed."""
        end = self.network.passed + HANDSHAKE + budget
        process = self.typed.start()
        while process.poll() is None and self.network.passed < end:
            time.sleep(0.001)
        self.network.cut()
        process.wait()

    def kill(self, after: float) -> None:
        """Kill the command."""
        process = self.typed.start()
        time.sleep(after + 0.3 * self.random.random())
        process.kill()
        process.wait()


def main() -> None:
    """Run the rounds; the first thing that is lost, torn or in a false conflict ends them."""
    rounds, seed = (int(word) for word in [*sys.argv[1:], "200", "1"][:2])
    with tempfile.TemporaryDirectory() as scratch, started_sshd(Path(scratch) / "runtime") as runtime:
        home = Path(scratch) / "home"
        (home / "digits").mkdir(parents=True)
        (home / "digits" / "colab-remote.toml").touch()
        # Each sync with a connection of its own, so that a kill takes that along; `chaos line` is for the other way.
        env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "COLAB_REMOTE_LINE": "0"}
        laptop = Laptop(home, env)
        runtime.admit(laptop.public_line())
        with BadNetwork(("127.0.0.1", runtime.port)) as network:
            ticket = runtime.ticket.replace(f":{runtime.port}/", f":{network.port}/")
            assert laptop("connect", ticket, "--open", "none").returncode == 0
            storm = Storm(Typed(home / "digits", runtime.workdir, laptop), seed, network)
            for number in range(rounds):
                storm.round()
                print(f"\r{number + 1} of {rounds} rounds survived", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
