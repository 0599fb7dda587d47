"""Cuts of the network at random while a job's log is followed: `chaos_logs.py [CUTS] [SEED]`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bad_network import BadNetwork  # noqa: E402
from log_storm import LogStorm  # noqa: E402
from sides import Laptop, started_sshd  # noqa: E402


def main() -> None:
    """Cut until there were enough cuts; the first byte that is lost, doubled or out of order ends it."""
    cuts, seed = (int(word) for word in [*sys.argv[1:], *("100", "1")[len(sys.argv) - 1 :]][:2])
    with tempfile.TemporaryDirectory() as scratch, started_sshd(Path(scratch) / "runtime") as runtime:
        home = Path(scratch) / "home"
        home.mkdir()
        laptop = Laptop(home, {"HOME": str(home), "XDG_RUNTIME_DIR": scratch, "PATH": os.environ["PATH"]})
        with BadNetwork(("127.0.0.1", runtime.port)) as network:
            storm = LogStorm(laptop, runtime, network, seed)
            try:
                while storm.cuts < cuts:
                    storm.round(min(10, cuts - storm.cuts))
                    print(f"\r{storm.cuts} of {cuts} cuts survived", end="", flush=True)
            finally:
                laptop.end_lines()
    print()


if __name__ == "__main__":
    main()
