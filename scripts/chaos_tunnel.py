"""The tunnel cut for 1, 10 and 60 s under an ssh session and `logs -f`: `chaos_tunnel.py [ROUNDS] [SEED]`."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bad_network import BadNetwork  # noqa: E402
from cut_tunnel import Cut, work_through_a_cut  # noqa: E402
from sides import Laptop, started_sshd  # noqa: E402

from colab_remote.runtime.bridge import Bridge  # noqa: E402

CUTS: tuple[Cut, ...] = ("held", "broken")
SECONDS = (1, 10, 60)


def main() -> None:
    """Cut it in each way for each time, as often as asked; the first thing that is lost, or says nothing, ends it."""
    rounds, seed = (int(word) for word in [*sys.argv[1:], *("1", "1")[len(sys.argv) - 1 :]][:2])
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch, started_sshd(Path(scratch) / "runtime") as runtime:
        home = Path(scratch) / "home"
        home.mkdir()
        laptop = Laptop(home, {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": scratch})
        runtime.admit(laptop.public_line())
        bridge = Bridge("127.0.0.1", runtime.port)
        with BadNetwork(("127.0.0.1", bridge.port)) as network:
            ticket = runtime.ticket.replace("ssh://", "ws://").replace(f":{runtime.port}/", f":{network.port}/")
            assert laptop("connect", ticket, "--open", "none").returncode == 0
            try:
                for cut in [cut for _ in range(rounds) for cut in CUTS]:
                    for seconds in SECONDS:
                        work_through_a_cut(laptop, network, cut, seconds, chance)
                        print(f"{cut} for {seconds} s: survived", flush=True)
            finally:
                laptop.end_lines()
        bridge.close()


if __name__ == "__main__":
    main()
