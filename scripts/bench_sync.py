"""Sync against rsync and scp over the same delayed line, on connections of their own and on warm ones."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bad_network import BadNetwork  # noqa: E402
from measure import seconds_of, table  # noqa: E402
from sides import Laptop, Runtime, started_sshd  # noqa: E402

from colab_remote.both.ignore import Ignore  # noqa: E402
from colab_remote.both.scan import scan  # noqa: E402

RUNS = int(os.environ.get("BENCH_RUNS", "5"))
SAVES = 10 * RUNS
MEGABIT = 125_000  # bytes a second
MANY, SOME = 5000, 200


@dataclass
class Bench:
    """A laptop with a project, a runtime, and the line between them."""

    laptop: Laptop
    runtime: Runtime
    network: BadNetwork
    port: int
    project: Path
    key: Path
    warm: bool

    @property
    def there(self) -> Path:
        """The project's folder on the runtime."""
        return self.runtime.workdir / self.project.name

    @property
    def rival(self) -> Path:
        """rsync's and scp's folder on the runtime."""
        return self.runtime.workdir / "rival"

    def sync(self) -> None:
        """Ours."""
        self.run([sys.executable, "-m", "colab_remote", "sync", "--json"])

    def rsync(self, *options: str, back: bool = False) -> Callable[[], None]:
        """`rsync -a` of the project to the rival's folder, or `back`."""
        ends = [f"{self.project}/", f"127.0.0.1:{self.rival}/"]
        words = ["rsync", "--exclude=.colab-remote", *options, "-e", " ".join(self.ssh("ssh", "-p"))]
        return lambda: self.run([*words, *(reversed(ends) if back else ends)])

    def scp(self, name: str, *, back: bool = False) -> Callable[[], None]:
        """`scp` of one file, or `back`."""
        ends = [str(self.project / name), f"127.0.0.1:{self.rival / name}"]
        return lambda: self.run([*self.ssh("scp", "-P"), *(reversed(ends) if back else ends)])

    def ssh(self, program: str, port: str) -> list[str]:
        """A way through the line for OpenSSH's programs."""
        options = ("-F/dev/null", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR")
        shared = ("-oControlMaster=auto", f"-oControlPath={self.laptop.home}/%C", "-oControlPersist=60")
        return [program, *options, *shared[: 3 * self.warm], "-i", str(self.key), port, str(self.port)]

    def run(self, words: Sequence[str]) -> None:
        """Run to a successful end."""
        subprocess.run(words, cwd=self.project, env=self.laptop.env, check=True, stdout=subprocess.DEVNULL)

    def empty_far(self) -> None:
        """Nothing on the runtime. Moved away: ext4 without a journal takes long for a new file after that."""
        for folder in (self.there, self.rival):
            if folder.exists():
                folder.rename(Path(tempfile.mkdtemp(), folder.name))
        self.rival.mkdir()

    def alternate(self, ways: dict[str, Callable[[], None]], before: Callable[[], None]) -> dict[str, float]:
        """Median seconds of each way, in turn, `before` each."""
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(RUNS):
            for name, way in ways.items():
                before()
                times[name].append(seconds_of(way))
        return {name: statistics.median(found) for name, found in times.items()}


@contextmanager
def bench(delay: float, megabits: float | None, warm: bool = False) -> Iterator[Bench]:
    """An empty project over a line with `delay` seconds there and back, `megabits` a second; none at all without both.

    `warm`: ours goes over the host's line and ssh over a ControlMaster, else each over a connection of its own.
    """
    rate = megabits * MEGABIT if megabits else None
    scratch = tempfile.mkdtemp()
    with started_sshd(Path(scratch) / "runtime") as runtime:
        home = Path(scratch) / "home"
        project = home / "project"
        project.mkdir(parents=True)
        (project / "colab-remote.toml").touch()
        env = {"HOME": str(home), "PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": scratch}
        laptop = Laptop(home, env if warm else {**env, "COLAB_REMOTE_LINE": "0"})
        runtime.admit(laptop.public_line())
        with BadNetwork(("127.0.0.1", runtime.port), delay=delay / 2, rate=rate) as network:
            port = network.port if delay or megabits else runtime.port
            ticket = runtime.ticket.replace(f":{runtime.port}/", f":{port}/")
            assert laptop("connect", ticket, "--open", "none").returncode == 0
            found = Bench(laptop, runtime, network, port, project, laptop.ours / "id_ed25519", warm)
            found.empty_far()
            try:
                yield found
            finally:
                laptop.end_lines()


def fill(folder: Path, count: int, sizes: tuple[int, int]) -> None:
    """Files of text, as sources are."""
    draw = random.Random(count)
    words = [bytes(draw.choices(b"abcdefghijklmnopqrstuvwxyz_", k=draw.randint(2, 12))) for _ in range(2000)]
    for number in range(count):
        place = folder / f"package-{number % 50}" / f"module_{number}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        size = draw.randint(*sizes)
        place.write_bytes(b" ".join(draw.choices(words, k=size // 6 + 1))[:size])


def dense(size: int) -> bytes:
    """Bytes that no compression makes smaller."""
    return random.Random(size).randbytes(size)


def settled() -> None:
    """Wait until no file is so fresh that it has to be read again."""
    time.sleep(2.1)


def small_changes(delay: float, warm: bool) -> Iterator[Sequence[str]]:
    """Nothing changed, and one file of 5,000."""
    with bench(delay, 100, warm) as b:
        fill(b.project, MANY, (1000, 4000))
        b.sync()
        b.rsync("-a")()
        settled()
        b.sync()
        ways = {"ours": b.sync, "rsync": b.rsync("-a")}
        number = 0

        def edit() -> None:
            nonlocal number
            number += 1
            (b.project / "package-0" / "module_0.py").write_text(f"edited = {number}\n")

        for name, before in ((f"nothing of {MANY:,} files", lambda: None), (f"one of {MANY:,} files", edit)):
            found = b.alternate(ways, before)
            yield row(name, delay, 100, found["ours"], found["rsync"], rival("rsync -a", warm), 0.5 if warm else 0.7)


def first_push(delay: float, count: int, mark: float, warm: bool = False) -> Iterator[Sequence[str]]:
    """Everything, to an empty folder."""
    with bench(delay, 100 if delay else None, warm) as b:
        fill(b.project, count, (1000, 4000) if count == MANY else (5000, 15000))
        ways = {"ours": b.sync, "rsync -a": b.rsync("-a"), "rsync -az": b.rsync("-az")}
        found = b.alternate(ways, b.empty_far)
        ours = found.pop("ours")
        best = min(found, key=found.__getitem__)
        name = f"first push of {count:,} files"
        yield row(name, delay, 100 if delay else None, ours, found[best], rival(best, warm), mark)


def one_large(delay: float, megabits: float | None, mark: float) -> Iterator[Sequence[str]]:
    """A dense file of 200 MB, both ways; the mark is of speed."""
    with bench(delay, megabits) as b:
        content = dense(200_000_000)

        def nowhere() -> None:
            for folder in (b.project, b.there, b.rival):
                (folder / "large").unlink(missing_ok=True)
            b.sync()

        def here() -> None:
            nowhere()
            (b.project / "large").write_bytes(content)

        def there() -> None:
            nowhere()
            for folder in (b.there, b.rival):
                (folder / "large").write_bytes(content)

        for name, before, back in (("push of 200 MB", here, False), ("pull of 200 MB", there, True)):
            found = b.alternate({"ours": b.sync, "scp": b.scp("large", back=back)}, before)
            yield row(name, delay, megabits, found["ours"], found["scp"], "scp", 1 / mark)


def bytes_on_the_wire() -> Iterator[Sequence[str]]:
    """A file of 100 MB: 1 % of it changed, and 10 kB appended."""
    with bench(0, 1000) as b:
        content = bytearray(dense(100_000_000))
        (b.project / "large").write_bytes(content)
        b.sync()
        b.rsync("-a")()
        content[50_000_000:51_000_000] = dense(1_000_000)
        for name, what in (("1 % changed in 100 MB", content), ("10 kB appended to it", content + dense(10_000))):
            (b.project / "large").write_bytes(what)
            counts = []
            for way in (b.sync, b.rsync("-a")):
                start = b.network.passed
                way()
                time.sleep(0.2)
                counts.append(b.network.passed - start)
            ours, theirs = counts
            yield name, "", "", f"{ours:,} B", f"{theirs:,} B", "rsync -a", f"{ours / theirs:.2f}", "1.2"


def watching(delay: float) -> Iterator[Sequence[str]]:
    """From a save on one side until it is on the other."""
    with bench(delay, 100) as b:
        fill(b.project, SOME, (5000, 15000))
        with b.laptop.started("sync", "--watch", "--json", cwd=b.project) as process:
            assert process.stdout is not None
            json.loads(process.stdout.readline())
            threading.Thread(target=process.stdout.read, daemon=True).start()
            settled()
            for name, source, target in (("up", b.project, b.there), ("down", b.there, b.project)):
                times = []
                for number in range(SAVES):
                    (source / ".DS_Store").write_text(f"{number}")
                    os.replace(source / ".DS_Store", source / f"saved-{name}")
                    times.append(seconds_of(lambda: appears(target / f"saved-{name}", f"{number}")))  # noqa: B023
                    time.sleep(0.3 + 4 * delay)
                took, mark = statistics.median(times), 1.5 * delay + 0.1
                name = f"watch, saved until {name}"
                yield (
                    name,
                    f"{delay * 1000:.0f} ms",
                    "100",
                    f"{took:.3f} s",
                    "",
                    "",
                    f"{took / mark:.2f} of the mark",
                    "1",
                )


def appears(file: Path, text: str) -> None:
    """Return once the file holds the text."""
    while not file.exists() or file.read_text() != text:
        time.sleep(0.002)


def scans() -> Iterator[Sequence[str]]:
    """50,000 files, none changed."""
    with tempfile.TemporaryDirectory() as scratch:
        fill(Path(scratch), 50_000, (10, 20))
        settled()
        known: dict[str, object] = {}
        scan(scratch, Ignore((), ()), known)  # type: ignore[arg-type]
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(RUNS):
            times[0].append(seconds_of(lambda: scan(scratch, Ignore((), ()), known)))  # type: ignore[arg-type]
            times[1].append(seconds_of(lambda: bare_walk(scratch)))
        ours, bare = map(statistics.median, times)
        yield (
            "scan of 50,000 files",
            "",
            "",
            f"{ours:.2f} s",
            f"{bare:.2f} s",
            "scandir, stat",
            f"{ours / bare:.2f}",
            "1.5",
        )


def bare_walk(folder: str) -> None:
    """What every scan must do."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                bare_walk(entry.path)
            else:
                entry.stat(follow_symlinks=False)


def memory() -> Iterator[Sequence[str]]:
    """The most that either side takes for 50,000 files, and for a large one."""
    for name, count, large in (("50,000 files", 50_000, 0), ("one file of 5 GB", 0, 5_000_000_000)):
        with bench(0, None) as b:
            fill(b.project, count, (10, 20))
            with open(b.project / "large", "wb") as file:
                file.truncate(large)
            peaks = Peaks(b)
            took = seconds_of(b.sync)
            b.sync()  # the first one had nothing to compare
            laptop, agent = peaks.end()
            yield f"memory for {name}", "", "", f"{laptop} and {agent} MB", "", f"{took:.1f} s", "", "150 MB"


class Peaks:
    """The largest resident size of `sync` and of its agent while they run, MB."""

    def __init__(self, bench: Bench) -> None:
        self.marks = {"sync\0--json": 0, "import base64;exec": 0}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._look_on, daemon=True)
        self.thread.start()

    def _look_on(self) -> None:
        while not self.ended.wait(0.02):
            for place in Path("/proc").glob("[0-9]*"):
                try:
                    words = (place / "cmdline").read_bytes()
                    peak = next(
                        line for line in (place / "status").read_text().splitlines() if line.startswith("VmHWM")
                    )
                except (OSError, StopIteration):
                    continue
                for mark in self.marks:
                    if mark.encode() in words and b"python" in words[:200]:
                        self.marks[mark] = max(self.marks[mark], int(peak.split()[1]) // 1000)

    def end(self) -> tuple[int, int]:
        """Both peaks."""
        self.ended.set()
        self.thread.join()
        laptop, agent = self.marks.values()
        return laptop, agent


def rival(name: str, warm: bool) -> str:
    """What ours is compared with."""
    return f"{name}, {'ControlMaster' if warm else 'fresh'}"


def row(
    name: str, delay: float, megabits: float | None, ours: float, theirs: float, rival: str, mark: float
) -> Sequence[str]:
    """One line of the table; the ratio is of times."""
    line = f"{megabits:.0f}" if megabits else ""
    times = (f"{ours:.2f} s", f"{theirs:.2f} s")
    return name, f"{delay * 1000:.0f} ms", line, *times, rival, f"{ours / theirs:.2f}", f"{mark:.2f}"


PARTS: dict[str, Callable[[], Iterator[Iterator[Sequence[str]]]]] = {
    "small": lambda: (small_changes(delay, warm) for warm in (False, True) for delay in (0.05, 0.1)),
    "push": lambda: (
        first_push(delay, count, mark)
        for count, marks in ((MANY, (1.3, 1.0, 1.0)), (SOME, (1.3, 0.8, 0.8)))
        for delay, mark in zip((0, 0.05, 0.1), marks, strict=True)
    ),
    "warm": lambda: (first_push(delay, count, 0.8, warm=True) for count in (MANY, SOME) for delay in (0.05, 0.1)),
    "large": lambda: (one_large(*line) for line in ((0, None, 0.9), (0.1, 1000, 1.3))),
    "bytes": lambda: (bytes_on_the_wire() for _ in (1,)),
    "watch": lambda: (watching(delay) for delay in (0, 0.05, 0.1)),
    "scan": lambda: (scans() for _ in (1,)),
    "memory": lambda: (memory() for _ in (1,)),
}


def main() -> None:
    """Print the table: `bench_sync.py [PART]...`, all parts when none is named."""
    header = ("what", "round trip", "Mbit/s", "ours", "rival", "which", "ratio", "at most")
    rows = []
    with tempfile.TemporaryDirectory() as tempfile.tempdir:  # removed at the end, see `empty_far`
        for part in (part for name in sys.argv[1:] or PARTS for part in PARTS[name]()):
            for found in part:
                rows.append(found)
                print("  ".join(found), file=sys.stderr, flush=True)
    table(f"Sync, medians of {RUNS}", header, rows)


if __name__ == "__main__":
    main()
