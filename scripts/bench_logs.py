"""What following a job costs: how late its lines are, what a log of 200 MB takes, what a training loses by it."""

from __future__ import annotations

import io
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bad_network import BadNetwork  # noqa: E402
from measure import table  # noqa: E402
from sides import Laptop, Runtime, started_sshd  # noqa: E402

from colab_remote.both.whole import read_json  # noqa: E402

LINES = 200
LARGE = 200_000_000
RUNS, EPOCHS, PERIOD = 5, 16, 4
# Says the time, at moments that keep no step with whoever looks.
SAYS_WHEN = (
    "import random, time\nfor _ in range({}):\n    time.sleep(0.03 + 0.04 * random.random())\n    print(time.time())"
)
WRITES = f"import os\nline = b'x' * 99 + b'\\n'\nfor _ in range({LARGE} // 100_000): os.write(1, line * 1000)"


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as scratch, started_sshd(Path(scratch) / "runtime") as runtime:
        home = Path(scratch) / "home"
        home.mkdir()
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        laptop = Laptop(home, {**kept, "HOME": str(home), "XDG_RUNTIME_DIR": scratch})
        runtime.admit(laptop.public_line())
        try:
            late_heads = ("round trip", "from written to shown", "95 %", "above half a round trip")
            rows = [late(laptop, runtime, rtt) for rtt in (0, 50, 100)]
            table(f"A line of a log, medians of {LINES}", late_heads, rows)
            know(laptop, runtime.ticket)
            large = Large(laptop, runtime)
            table(f"A log of {LARGE / 1e6:.0f} MB, medians of {RUNS}", ("way", "the job took", "ratio"), large.rows())
            table("Peak memory meanwhile", ("process", "memory"), large.memory())
            heads = ("way", "images/s", "ratio", "its CPU seconds", "ratio")
            title = f"A training of {EPOCHS} epochs, a checkpoint after {PERIOD}, medians of {RUNS}"
            table(title, heads, list(training(laptop, runtime)))
        finally:
            laptop.end_lines()


def know(laptop: Laptop, ticket: str) -> None:
    """Make `colab` the runtime at `ticket`."""
    laptop.end_lines()
    done = laptop("connect", ticket, "--open", "none", "--replace")
    assert done.returncode == 0, done.stderr


def late(laptop: Laptop, runtime: Runtime, milliseconds: int) -> Sequence[str]:
    """The row for one round trip: how much later than it was written a line is on stdout."""
    with BadNetwork(("127.0.0.1", runtime.port), delay=milliseconds / 2000) as network:
        know(laptop, runtime.ticket.replace(f":{runtime.port}/", f":{network.port}/"))
        words = ("run", "--", "python3", "-c", SAYS_WHEN.format(LINES))
        with laptop.started(*words) as shown:
            assert shown.stdout
            seconds = sorted(time.time() - float(line) for line in shown.stdout)
        laptop.end_lines()
    assert len(seconds) == LINES
    median, most = (1000 * seconds[int(LINES * share)] for share in (0.5, 0.95))
    return f"{milliseconds} ms", f"{median:.0f} ms", f"{most:.0f} ms", f"{median - milliseconds / 2:+.0f} ms"


def over(runtime: Runtime, job: str) -> dict[str, float]:
    """How the job ended, waiting for it without asking anybody."""
    folder = runtime.state / "jobs" / job
    while not (folder / "exit.json").exists():
        time.sleep(0.1)
    ran, ended = read_json(folder / "run.json"), read_json(folder / "exit.json")
    assert ended["code"] == 0, (folder / "log").read_text()
    return {"seconds": ended["ended"] - ran["started"], "cpu": ended["cpu_seconds"]}


class Large:
    """A job that writes a large log, to a file, to a log that nobody follows, and to one that is followed."""

    def __init__(self, laptop: Laptop, runtime: Runtime) -> None:
        self._laptop, self._runtime = laptop, runtime
        self._peaks: dict[str, int] = {}

    def rows(self) -> list[Sequence[str]]:
        """How long it takes to write it."""
        ways: dict[str, Callable[[], float]] = {
            "to a file, as a shell would": lambda: self._alone(" > plain"),
            "to its log, not followed": lambda: self._alone(""),
            "to its log, followed by `logs -f`": self._followed,
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(RUNS):
            for name, way in ways.items():
                times[name].append(way())
        medians = {name: statistics.median(seconds) for name, seconds in times.items()}
        plain = next(iter(medians.values()))
        return [(name, f"{seconds:.2f} s", f"{seconds / plain:.2f}") for name, seconds in medians.items()]

    def memory(self) -> list[Sequence[str]]:
        """The most that each process had."""
        return [(name, f"{peak / 1e6:.0f} MB") for name, peak in sorted(self._peaks.items())]

    def _start(self, into: str) -> str:
        done = self._laptop("run", "--detach", "--", f'sleep 1; exec python3 -c "{WRITES}"{into}')
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _alone(self, into: str) -> float:
        return over(self._runtime, self._start(into))["seconds"] - 1

    def _followed(self) -> float:
        job = self._start("")
        with self._laptop.started("logs", "-f", job) as shown:
            assert isinstance(shown.stdout, io.TextIOWrapper)
            log = shown.stdout.buffer
            watching = threading.Event()
            watcher = threading.Thread(target=self._watch, args=(job, shown.pid, watching))
            watcher.start()
            count = sum(len(piece) for piece in iter(lambda: log.read(1 << 20), b""))
            watching.set()
            watcher.join()
        assert count == LARGE
        return over(self._runtime, job)["seconds"] - 1

    def _watch(self, job: str, command: int, enough: threading.Event) -> None:
        runner = read_json(self._runtime.state / "jobs" / job / "run.json")["runner"]
        pids = {"the job's runner": [runner], "`logs -f`": [command], "the line": self._laptop.lines()}
        while not enough.wait(0.01):
            agents = [process.pid for process in psutil.process_iter(["cmdline"]) if _is_agent(process)]
            for name, found in {**pids, "its agent": agents}.items():
                for pid in found:
                    with suppress(psutil.Error):
                        self._peaks[name] = max(self._peaks.get(name, 0), psutil.Process(pid).memory_info().rss)


def _is_agent(process: psutil.Process) -> bool:
    return any(word.startswith("import base64;exec(") for word in process.info["cmdline"] or ())


def training(laptop: Laptop, runtime: Runtime) -> Iterator[Sequence[str]]:
    """Rows: the bundled template on one thread, left to itself, and followed with its outputs coming home.

    The runtime has all cores, the laptop only the last.
    """
    # The laptop is another machine: what it does must not take the core that the training is on.
    laptop.end_lines()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    project = laptop.home / "digits"
    assert laptop("new", str(project), "--template", "pytorch").returncode == 0
    toml = project / "colab-remote.toml"
    # A login shell may find another Python first; this one has torch.
    toml.write_text(re.sub("setup .*\n", "", toml.read_text()).replace("python3", sys.executable))
    train = ("train", "-e", "OMP_NUM_THREADS=1")
    # Wide enough for two epochs a second: a checkpoint of 2.4 MB comes home every two seconds.
    settings = (f"trainer.epochs={EPOCHS}", f"trainer.save_period={PERIOD}", "arch.args.width=48")
    more = ("--", *(word for setting in settings for word in ("--set", setting)))
    alone: list[tuple[float, float]] = []
    followed: list[tuple[float, float]] = []
    for _ in range(RUNS + 1):
        done = laptop(*train, "--detach", *more, cwd=project)
        assert done.returncode == 0, done.stderr
        alone.append(_speed(runtime, done.stdout.strip()))
        words = [sys.executable, "-m", "colab_remote", *train, *more]
        watched = subprocess.run(words, cwd=project, env=laptop.env, capture_output=True)
        assert watched.returncode == 0, watched.stderr
        followed.append(_speed(runtime, max(os.listdir(runtime.state / "jobs"))))
    # The first of each warms up.
    columns = [[statistics.median(column) for column in zip(*runs[1:], strict=True)] for runs in (alone, followed)]
    for name, (speed, cpu) in zip(("left to itself", "followed and mirrored"), columns, strict=True):
        yield name, f"{speed:,.0f}", f"{speed / columns[0][0]:.3f}", f"{cpu:.2f} s", f"{cpu / columns[0][1]:.3f}"


def _speed(runtime: Runtime, job: str) -> tuple[float, float]:
    """A training's images/s, the median of its epochs, and its CPU seconds."""
    ended = over(runtime, job)
    log = (runtime.state / "jobs" / job / "log").read_text()
    rates = [float(rate.replace(",", "")) for rate in re.findall(r"([\d,]+) images/s", log)]
    return statistics.median(rates), ended["cpu"]


if __name__ == "__main__":
    main()
