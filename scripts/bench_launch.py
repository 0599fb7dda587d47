"""How long `launch --tunnel direct` takes, against making a host key and starting sshd by hand."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from measure import table  # noqa: E402
from sides import SSHD, free_port  # noqa: E402
from vm import listens  # noqa: E402

RUNS = 9


def by_hand(folder: Path) -> float:
    """Seconds for ssh-keygen and an sshd that answers on a free port."""
    assert SSHD
    started = time.perf_counter()
    key, port = folder / "host_key", free_port()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    words = [
        SSHD,
        "-D",
        "-f",
        os.devnull,
        "-h",
        str(key),
        "-o",
        f"ListenAddress=127.0.0.1:{port}",
        "-o",
        "PidFile=none",
    ]
    with subprocess.Popen(words) as process:
        while not listens(port):
            time.sleep(0.005)
        took = time.perf_counter() - started
        process.terminate()
    return took


def ours(folder: Path) -> float:
    """Seconds for `colab-remote launch --tunnel direct` to return, the runtime answering."""
    python = [sys.executable, "-m", "colab_remote"]
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    places = ("--state-dir", str(folder / "state"), "--workdir", str(folder / "work"))
    started = time.perf_counter()
    subprocess.run(
        [*python, "launch", "--tunnel", "direct", *places, "--authorized-key", str(folder / "key.pub"), "--json"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    took = time.perf_counter() - started
    subprocess.run([*python, "shutdown", *places[:2], "--json"], check=True, stdout=subprocess.DEVNULL)
    return took


def main() -> None:
    """Print both medians and their difference."""
    hand: list[float] = []
    we: list[float] = []
    for _ in range(RUNS):
        for take, into in ((by_hand, hand), (ours, we)):
            with tempfile.TemporaryDirectory() as folder:
                into.append(take(Path(folder)))
    slow, fast = median(we), median(hand)
    rows = [
        ("ssh-keygen and sshd by hand", f"{fast:.2f} s", ""),
        ("`colab-remote launch --tunnel direct`", f"{slow:.2f} s", f"{slow - fast:+.2f} s"),
    ]
    table(f"Launch, medians of {RUNS}", ("way", "until reachable", "difference"), rows)


if __name__ == "__main__":
    main()
