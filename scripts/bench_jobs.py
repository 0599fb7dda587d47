"""Outputs on their way home: how late they are, and what they cost on the wire."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bad_network import BadNetwork  # noqa: E402
from measure import table  # noqa: E402
from sides import Laptop, Runtime, started_sshd  # noqa: E402

from colab_remote.both.whole import read_json  # noqa: E402

CHECKPOINTS = 15
MEGABYTES = 12
RECORDS = 200
RATE = 12_500_000  # bytes a second, 100 Mbit/s
# A checkpoint of random bytes, which nothing makes smaller, in torch's form: renamed into its place when it is whole.
WRITES = f"""
import os, pathlib, time, zipfile
folder = pathlib.Path("saved")
folder.mkdir(exist_ok=True)
for step in range({CHECKPOINTS}):
    with zipfile.ZipFile("new", "w") as archive: archive.writestr("weights", os.urandom({MEGABYTES}_000_000))
    os.replace("new", folder / f"step-{{step}}.pt")
    time.sleep(2.5)
"""
APPENDS = f"""
import pathlib, time
folder = pathlib.Path("saved")
folder.mkdir(exist_ok=True)
for step in range({RECORDS}):
    with (folder / "metrics.jsonl").open("a") as file: file.write('{{"step": %d, "loss": 0.%080d}}\\n' % (step, step))
    time.sleep(0.1)
"""


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, started_sshd(Path(scratch) / "runtime") as runtime:
        home = Path(scratch) / "home"
        home.mkdir()
        laptop = Laptop(home, {"HOME": str(home), "XDG_RUNTIME_DIR": scratch, "PATH": os.environ["PATH"]})
        runtime.admit(laptop.public_line())
        late = ("round trip", "from written to at home", "slowest", "the transfer alone", "bytes on the wire")
        try:
            rows = [checkpoints(laptop, runtime, rtt) for rtt in (0, 50, 100)]
            table(f"Checkpoints of {MEGABYTES} MB at 100 Mbit/s, medians of {CHECKPOINTS}", late, rows)
            grown = ("what", "its bytes", "bytes on the wire", "messages' share for each record")
            table("A file that grows", grown, [records(laptop, runtime)])
        finally:
            laptop.end_lines()


def checkpoints(laptop: Laptop, runtime: Runtime, rtt: int) -> list[str]:
    """How late the checkpoints of one training are at home, and what of a byte one costs."""
    with BadNetwork(("127.0.0.1", runtime.port), delay=rtt / 2000, rate=RATE) as network:
        project, passed = trained(laptop, runtime, network, f"checkpoints-{rtt}", WRITES)
    late = sorted(found["arrived"] - found["mtime_ns"] / 1e9 for found in arrived(project))
    alone = MEGABYTES * 1e6 / RATE
    wire = passed / (CHECKPOINTS * MEGABYTES * 1e6)
    return [f"{rtt} ms", f"{statistics.median(late):.2f} s", f"{late[-1]:.2f} s", f"{alone:.2f} s", f"{wire:.3f}"]


def records(laptop: Laptop, runtime: Runtime) -> list[str]:
    """What a file costs to which records are appended, and which comes home as it grows."""
    with BadNetwork(("127.0.0.1", runtime.port)) as network:
        project, passed = trained(laptop, runtime, network, "records", APPENDS)
    size = (project / "saved" / "metrics.jsonl").stat().st_size
    return [f"{RECORDS} records", f"{size:,}", f"{passed:,}", f"{(passed - size) / RECORDS:,.0f}"]


def trained(laptop: Laptop, runtime: Runtime, network: BadNetwork, name: str, script: str) -> tuple[Path, int]:
    """A project after a training through that network, and the bytes that the training took, both ways."""
    project = laptop.home / name
    project.mkdir()
    keep = f"keep = {CHECKPOINTS}"
    (project / "colab-remote.toml").write_text(f'[project]\ntrain = "python3 train.py"\n{keep}\n')
    (project / "train.py").write_text(script)
    ticket = runtime.ticket.replace(f":{runtime.port}/", f":{network.port}/")
    for words in (("connect", ticket, "--replace", "--open", "none"), ("sync",)):
        done = laptop(*words, cwd=project)
        assert done.returncode == 0, done.stderr
    before = network.passed
    train = [sys.executable, "-m", "colab_remote", "train"]
    subprocess.run(train, cwd=project, env=laptop.env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    passed = network.passed - before
    laptop.end_lines()  # the line would be cut with the network
    return project, passed


def arrived(project: Path) -> Iterator[dict[str, float]]:
    """The record of each checkpoint that came home."""
    files = read_json(project / ".colab-remote" / "outputs.json")["files"]
    return (record for record in files.values() if record["checkpoint"])


if __name__ == "__main__":
    main()
