"""Neither side holds what it passes on: memory stays small for a large file and for many."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pair import Pair, new_pair

MOST = 150_000  # kB
_SYNC = """
import json, resource, sys
from pathlib import Path
from pair import Pair
Pair(Path(sys.argv[1]), Path(sys.argv[2])).sync()
ours = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([int(ours.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


def peaks(pair: Pair) -> list[int]:
    """What a sync and its agent take at the most, kB."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parents[3])])
    done = subprocess.run(
        [sys.executable, "-c", _SYNC, str(pair.here), str(pair.workdir)],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        capture_output=True,
    )
    found: list[int] = json.loads(done.stdout)
    return found


def test_of_a_large_file(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    with open(pair.here / "large", "wb") as file:
        file.truncate(300_000_000)
    assert max(peaks(pair)) < MOST
    with open(pair.there / "large", "r+b") as file:
        file.write(b"changed")
    assert max(peaks(pair)) < MOST
    assert (pair.here / "large").stat().st_size == 300_000_000


def test_of_many_files(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    for number in range(5000):
        (pair.here / f"{number}").touch()
    first = peaks(pair)
    assert max(first) < MOST / 2, first
    second = peaks(pair)
    assert max(second) < MOST / 2, second
