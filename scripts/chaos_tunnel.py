"""The tunnel cut for 1, 10 and 60 s under ssh, `logs -f` and a sync: `chaos_tunnel.py [WAY] [ROUNDS] [SEED]`."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from cut_tunnel import Cut, sync_through_a_cut, work_through_a_cut  # noqa: E402
from sides import Laptop, started_sshd  # noqa: E402
from ways import WAYS  # noqa: E402

CUTS: tuple[Cut, ...] = ("held", "broken")
SECONDS = (1, 10, 60)
RATE = 2_500_000  # bytes a second: a sync of 10 MB has a middle


def main() -> None:
    """Cut each way, or the one named, for each time; the first thing that is lost, or says nothing, ends it."""
    words = sys.argv[1:]
    names = [words.pop(0)] if words and words[0] in WAYS else list(WAYS)
    rounds, seed = (int(word) for word in [*words, *("1", "1")[len(words) :]][:2])
    for name in names:
        survive(name, rounds, random.Random(seed))


def survive(name: str, rounds: int, chance: random.Random) -> None:
    """Work through the cuts of one way."""
    with tempfile.TemporaryDirectory() as scratch, started_sshd(Path(scratch) / "runtime") as runtime:
        home = Path(scratch) / "home"
        home.mkdir()
        laptop = Laptop(home, {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": scratch})
        runtime.admit(laptop.public_line())
        with WAYS[name](laptop, runtime, Path(scratch), RATE) as network:
            try:
                for cut in [cut for _ in range(rounds) for cut in CUTS]:
                    for seconds in SECONDS:
                        work_through_a_cut(laptop, network, cut, seconds, chance)
                        sync_through_a_cut(laptop, network, cut, seconds, chance, runtime.workdir / "cut")
                        print(f"{name}, {cut} for {seconds} s: survived", flush=True)
            finally:
                laptop.end_lines()


if __name__ == "__main__":
    main()
