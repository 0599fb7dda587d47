"""Plain ssh by each kind of tunnel, against ssh as it is, through the same network of 100 Mbit/s."""

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
from sides import Laptop, started_sshd  # noqa: E402
from ways import WAYS  # noqa: E402

RATE = 12_500_000  # bytes a second, 100 Mbit/s
SIZE = 50_000_000  # bytes
RUNS, KEYS = 5, 100
TITLES = {
    "direct": "`direct`, `ngrok`: ssh as it is",
    "http": "`ngrok-http`, `cloudflared`",
    "relay": "`relay`",
    "google": "Google's door, over the line",
}


def main() -> None:
    """Print the table."""
    figures = {name: measured(name) for name in WAYS}
    plain = figures["direct"]
    heads = ("way", "`ssh colab true`", "pull", "push", "a keystroke")
    table(f"Tunnels at 100 Mbit/s, medians of {RUNS}", heads, [row(name, figures[name], plain) for name in WAYS])


def row(name: str, found: tuple[float, ...], plain: tuple[float, ...]) -> list[str]:
    """A way's row, each figure against that of ssh as it is."""
    fresh, pull, push, key = found
    return [
        TITLES[name],
        f"{fresh * 1000:.0f} ms, {fresh / plain[0]:.2f}",
        f"{pull / 1e6:.1f} MB/s, {pull / plain[1]:.2f}",
        f"{push / 1e6:.1f} MB/s, {push / plain[2]:.2f}",
        f"{key * 1000:.1f} ms, {(key - plain[3]) * 1000:+.1f}",
    ]


def measured(name: str) -> tuple[float, ...]:
    """Seconds of a fresh `ssh true`, bytes a second down and up, seconds of a keystroke, each a median."""
    with tempfile.TemporaryDirectory() as scratch, started_sshd(Path(scratch) / "runtime") as runtime:
        home = Path(scratch) / "home"
        home.mkdir()
        laptop = Laptop(home, {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": scratch})
        runtime.admit(laptop.public_line())
        with WAYS[name](laptop, runtime, Path(scratch), RATE):
            try:
                runs = [one(laptop) for _ in range(RUNS + 1)][1:]  # the first starts what is kept warm
            finally:
                laptop.end_lines()
    return tuple(median(column) for column in zip(*runs, strict=True))


def one(laptop: Laptop) -> tuple[float, ...]:
    """One of each figure."""
    ssh = ["ssh", "-F", str(laptop.home / ".ssh" / "config"), "colab"]

    def seconds(command: str, data: bytes = b"") -> float:
        began = time.perf_counter()
        subprocess.run([*ssh, command], env=laptop.env, cwd=laptop.home, input=data, capture_output=True, check=True)
        return time.perf_counter() - began

    fresh = seconds("true")
    pull = SIZE / (seconds(f"head -c {SIZE} /dev/urandom") - fresh)
    push = SIZE / (seconds("cat > /dev/null", os.urandom(SIZE)) - fresh)
    return fresh, pull, push, keystroke(laptop, ssh)


def keystroke(laptop: Laptop, ssh: list[str]) -> float:
    """Seconds for a byte to come back, the median of many."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*ssh, "cat"], env=laptop.env, cwd=laptop.home, stdin=pipe, stdout=pipe, bufsize=0) as typed:
        assert typed.stdin
        assert typed.stdout
        times = []
        for _ in range(KEYS):
            began = time.perf_counter()
            typed.stdin.write(b"x")
            typed.stdout.read(1)
            times.append(time.perf_counter() - began)
        typed.stdin.close()
    return median(times[10:])


if __name__ == "__main__":
    main()
