"""SSH in WebSocket frames against SSH as it is, on this machine: throughput, a keystroke, start-up."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from measure import command, medians, seconds_of, table  # noqa: E402
from sides import started_sshd  # noqa: E402

from colab_remote.laptop.ssh_config import proxy_command  # noqa: E402
from colab_remote.runtime.bridge import Bridge  # noqa: E402

RUNS = 5
SIZE = 1_000_000_000  # bytes; what a connection costs to start has a row of its own
KEYS = 200


def ssh(folder: Path, port: int, *more: str) -> list[str]:
    """The words that reach the sshd at that port with the key in `folder`."""
    options = ["-oStrictHostKeyChecking=no", f"-oUserKnownHostsFile={folder}/known", "-oLogLevel=ERROR", *more]
    return ["ssh", "-F", "none", "-i", str(folder / "key"), "-p", str(port), *options, "127.0.0.1"]


def pulled(way: list[str]) -> float:
    """Bytes a second from there to here."""
    started = time.perf_counter()
    subprocess.run([*way, f"head -c {SIZE} /dev/zero"], check=True, stdout=subprocess.DEVNULL)
    return SIZE / (time.perf_counter() - started)


def pushed(way: list[str]) -> float:
    """Bytes a second from here to there."""
    zeros = subprocess.Popen(["head", "-c", str(SIZE), "/dev/zero"], stdout=subprocess.PIPE)
    started = time.perf_counter()
    subprocess.run([*way, "cat > /dev/null"], check=True, stdin=zeros.stdout)
    took = time.perf_counter() - started
    zeros.wait()
    return SIZE / took


def keystroke(way: list[str]) -> float:
    """Seconds for a byte to come back, the median of many."""
    with subprocess.Popen([*way, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin
        assert process.stdout
        times = []
        for _ in range(KEYS):
            started = time.perf_counter()
            process.stdin.write(b"x")
            process.stdout.read(1)
            times.append(time.perf_counter() - started)
        process.stdin.close()
    return median(times[10:])


def login(way: list[str]) -> float:
    """Seconds for a command that does nothing, the median of some."""
    nothing = command(*way, "true")
    return median(seconds_of(nothing) for _ in range(9))


def main() -> None:
    """Print both ways side by side, and what `proxy` costs to start."""
    with tempfile.TemporaryDirectory() as name, started_sshd(Path(name) / "runtime") as runtime:
        folder, port = Path(name), runtime.port
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
        runtime.admit((folder / "key.pub").read_text())
        bridge = Bridge("127.0.0.1", port)
        line = proxy_command(f"ws://127.0.0.1:{bridge.port}", sys.executable, sys.platform)
        rows: list[tuple[str, str, str, str]] = []
        ways = [ssh(folder, port), ssh(folder, port, f"-oProxyCommand={line}")]
        measures: list[tuple[str, Callable[[list[str]], float], float, str, int]] = [
            ("pull", pulled, 1e-6, "MB/s", 0),
            ("push", pushed, 1e-6, "MB/s", 0),
            ("keystroke", keystroke, 1000, "ms", 2),
            ("`ssh colab true`", login, 1000, "ms", 0),
        ]
        for title, measure, scale, unit, digits in measures:
            figures = [[measure(way) * scale for way in ways] for _ in range(RUNS)]
            raw, framed = (median(column) for column in zip(*figures, strict=True))
            against = f"{framed / raw:.2f}" if unit == "MB/s" else f"{framed - raw:+.{digits}f} {unit}"
            rows.append((title, f"{raw:.{digits}f} {unit}", f"{framed:.{digits}f} {unit}", against))
        bridge.close()
    table(f"SSH over HTTP, medians of {RUNS}", ("", "ssh", "ngrok-http's way", "against ssh"), rows)
    imports = command(sys.executable, "-c", "import websockets.sync.client")
    refused = [sys.executable, "-m", "colab_remote", "proxy", "ws://127.0.0.1:9"]
    base, ours = medians([imports, lambda: subprocess.run(refused, capture_output=True)], 15)
    print(f"\n`colab-remote proxy`, until it dials: {ours * 1000:.0f} ms, {ours / base:.2f} of importing websockets\n")


if __name__ == "__main__":
    main()
