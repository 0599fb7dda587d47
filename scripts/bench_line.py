"""What a warm line costs and saves, against OpenSSH's ControlMaster and paramiko without it."""

from __future__ import annotations

import os
import socket
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import psutil  # noqa: E402
from bad_network import BadNetwork  # noqa: E402
from measure import command, medians, seconds_of, table  # noqa: E402
from sides import Laptop, Runtime, started_sshd  # noqa: E402

from colab_remote.laptop.conversation import Stream  # noqa: E402
from colab_remote.laptop.hosts import load_host  # noqa: E402
from colab_remote.laptop.line.state import ask_line  # noqa: E402
from colab_remote.laptop.login import open_connection  # noqa: E402
from colab_remote.laptop.reach import Reach, reach  # noqa: E402

RUNS = 9
BULK = 200_000_000  # bytes
IDLE = 60.0  # seconds
OURS = str(Path(sys.executable).with_name("colab-remote"))


def main() -> None:
    """Print all tables."""
    sys.setswitchinterval(0.0005)  # the network between the two sides runs in a thread of this process
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, started_sshd(Path(scratch) / "runtime") as runtime:
        laptop = Laptop(Path(scratch), {"HOME": scratch, "XDG_RUNTIME_DIR": scratch, "PATH": os.environ["PATH"]})
        os.environ.update(laptop.env)
        os.chdir(laptop.home)  # this checkout is a project, which `run` would sync first
        runtime.admit(laptop.public_line())
        try:
            rows = [row for milliseconds in (0, 50, 100) for row in round_trips(laptop, runtime, milliseconds)]
            table(f"Commands, medians of {RUNS}", ("round trip", "command", "time", "against"), rows)
            heads = ("line", "beside a", "median", "95 %", "its speed")
            table("Answers to one byte, later than alone", heads, list(keystrokes(laptop, runtime)))
            know(laptop, runtime.ticket)
            table(f"{BULK / 1e6:.0f} MB, round trip 0, medians of {RUNS}", ("way", "MB/s", "ratio"), list(bulk(laptop)))
            know(laptop, runtime.ticket)
            table("The line itself", ("what", "figure"), [*costs(laptop), *silence(laptop, runtime)])
        finally:
            laptop.end_lines()


def know(laptop: Laptop, ticket: str) -> None:
    """Make `colab` the runtime at `ticket`, without a line yet."""
    laptop.end_lines()
    done = laptop("connect", ticket, "--open", "none", "--replace")
    assert done.returncode == 0, done.stderr


def round_trips(laptop: Laptop, runtime: Runtime, milliseconds: int) -> Iterator[Sequence[str]]:
    """Rows for one delay."""
    with BadNetwork(("127.0.0.1", runtime.port), delay=milliseconds / 2000) as network:
        know(laptop, runtime.ticket.replace(f":{runtime.port}/", f":{network.port}/"))
        ssh = ("ssh", "-F", str(laptop.ours.parent / "config"))
        shared = (*ssh, "-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-S", str(laptop.home / "mux"))

        def cold() -> None:
            subprocess.run([OURS, "jobs"], check=True, stdout=subprocess.DEVNULL)

        def fresh_line() -> float:
            laptop.end_lines()
            return seconds_of(cold)

        ways: dict[str, Callable[[], object]] = {
            "`ssh colab true`, fresh": command(*ssh, "colab", "true"),
            "`ssh colab true`, ControlMaster": command(*shared, "colab", "true"),
            "`colab-remote jobs`, warm": command(OURS, "jobs"),
            "`colab-remote run -- true`, warm": command(OURS, "run", "--", "true"),
            "`colab-remote status --json`, warm": command(OURS, "status", "--json"),
        }
        fresh, master, jobs, run, status = medians(list(ways.values()), RUNS)
        first = statistics.median(fresh_line() for _ in range(RUNS))
        subprocess.run([*shared, "-O", "exit", "colab"], capture_output=True)
    delay = milliseconds / 1000
    against = (
        "",
        "",
        f"{jobs / master:.2f} of ControlMaster, {(jobs - master) * 1000:+.0f} ms",
        f"{(run - jobs - delay) * 1000:+.0f} ms above `jobs` and a round trip",
        f"{(status - 2 * delay) * 1000:.0f} ms above two round trips",
    )
    for name, seconds, ratio in zip(ways, (fresh, master, jobs, run, status), against, strict=True):
        yield f"{milliseconds} ms", name, f"{seconds * 1000:.0f} ms", ratio
    yield (
        f"{milliseconds} ms",
        "`colab-remote jobs`, cold",
        f"{first * 1000:.0f} ms",
        f"{first / fresh:.2f} of fresh ssh",
    )


def keystrokes(laptop: Laptop, runtime: Runtime) -> Iterator[Sequence[str]]:
    """Rows: how much later than alone one byte comes back beside a pull or a push."""
    for megabits in (20, 100):
        rate = megabits * 125_000
        with BadNetwork(("127.0.0.1", runtime.port), delay=0.025, rate=rate) as network:
            know(laptop, runtime.ticket.replace(f":{runtime.port}/", f":{network.port}/"))
            with reach(load_host("colab")) as way, echo() as there:
                typed = way.open_port(there)
                alone = statistics.median(_typed(typed, 2.0))
                for name, start in (("pull", _pulling), ("push", _pushing)):
                    with start(way) as moved:
                        time.sleep(1)
                        before, began = moved[0], time.monotonic()
                        late = sorted((seconds - alone) * 1000 for seconds in _typed(typed, 10.0))
                        speed = (moved[0] - before) / (time.monotonic() - began)
                    share = f"{speed / rate:.2f} of the line"
                    late_by = (f"{late[len(late) // 2]:+.0f} ms", f"{late[int(len(late) * 0.95)]:+.0f} ms")
                    yield f"50 ms, {megabits} Mbit/s", name, *late_by, share
                    time.sleep(2)


def bulk(laptop: Laptop) -> Iterator[Sequence[str]]:
    """Rows: a pull and a push through the line and through paramiko alone; plain ssh through both."""
    with reach(load_host("colab")) as way, closing(open_connection(load_host("colab"))) as direct:
        with source() as there:
            alone, ours = medians([lambda: _pull(direct, there), lambda: _pull(way, there)], RUNS)
        with sink() as there:
            alone_up, ours_up = medians([lambda: _push(direct, there), lambda: _push(way, there)], RUNS)
        ssh = ("ssh", "-F", str(laptop.ours.parent / "config"))
        proxied = (*ssh, "-o", f"ProxyCommand={sys.executable} -m colab_remote proxy colab")
        words = ("colab", f"head -c {BULK} /dev/zero")
        plain, through = medians([command(*ssh, *words), command(*proxied, *words)], 3)
    for name, seconds, against in (
        ("paramiko alone", alone, alone),
        ("the line", ours, alone),
        ("paramiko alone, up", alone_up, alone_up),
        ("the line, up", ours_up, alone_up),
        ("ssh alone", plain, plain),
        ("ssh by `proxy`", through, plain),
    ):
        yield name, f"{BULK / seconds / 1e6:.0f}", f"{against / seconds:.2f}"


def costs(laptop: Laptop) -> Iterator[Sequence[str]]:
    """Rows: its memory and its CPU."""
    with reach(load_host("colab")) as way, echo() as there, source() as endless:
        way.open_agent().ask("ping")
        line = psutil.Process(laptop.lines()[0])
        time.sleep(2)
        yield "memory, nothing lent", _memory(line)
        streams = [way.open_port(there) for _ in range(50)]
        for stream in streams:
            _typed(stream, 0.05)
        yield "memory, 50 streams open", _memory(line)
        for stream in streams:
            stream.close()
        stalled = [way.open_port(endless) for _ in range(10)]
        for stream in stalled:  # each reads well for a while, then no more
            _take(stream, 20_000_000)
        time.sleep(2)
        yield "memory, 10 stalled readers", _memory(line)
        for stream in stalled:
            stream.close()
    time.sleep(5)  # until all that was under way has been dropped
    used, before = _cpu(line), _passed()
    time.sleep(IDLE)
    yield "CPU when idle", f"{(_cpu(line) - used) / IDLE:.3%} of a core"
    yield "traffic when idle", f"{(_passed() - before) * 60 / IDLE:.0f} bytes a minute"


def silence(laptop: Laptop, runtime: Runtime) -> Iterator[Sequence[str]]:
    """Rows: how soon a connection that went silent is noticed."""
    with BadNetwork(("127.0.0.1", runtime.port)) as network:
        know(laptop, runtime.ticket.replace(f":{runtime.port}/", f":{network.port}/"))
        log = Path(laptop.home, ".local", "state", "colab-remote", "log", "colab")
        command(OURS, "jobs")()
        for asked in (True, False):
            time.sleep(6)
            noted, began = log.read_text().count("contact was lost"), time.monotonic()
            network.freeze()
            if asked:
                laptop("status")
            while log.read_text().count("contact was lost") == noted:
                time.sleep(0.1)
            late = time.monotonic() - began
            network.cut()
            network.thaw()
            yield f"silence, noticed {'by a command' if asked else 'when idle'}", f"after {late:.1f} s"
            command(OURS, "jobs")()


def _passed() -> int:
    state = ask_line("colab")
    assert state
    return state.up + state.down


def _cpu(process: psutil.Process) -> float:
    """Seconds on a core so far, which the scheduler counts; the times that psutil knows are samples, of 10 ms each."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _memory(process: psutil.Process) -> str:
    return f"{process.memory_info().rss / 1e6:.0f} MB"


def _typed(stream: Stream, seconds: float) -> list[float]:
    """Seconds until each of the bytes came back that were sent one by one."""
    found, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        started = time.monotonic()
        stream.sendall(b"k")
        stream.recv(1)
        found.append(time.monotonic() - started)
        time.sleep(0.02)
    return found


def _take(stream: Stream, count: int) -> None:
    while count > 0:
        count -= len(stream.recv(1 << 20))


def _pull(way: Reach, port: int) -> None:
    stream = way.open_port(port)
    _take(stream, BULK)
    stream.close()


def _push(way: Reach, port: int) -> None:
    stream = way.open_port(port)
    piece = os.urandom(1 << 18)
    for _ in range(0, BULK, len(piece)):
        stream.sendall(piece)
    stream.recv(1)
    stream.close()


@contextmanager
def _pulling(way: Reach) -> Iterator[list[int]]:
    """A pull under way: bytes so far."""
    moved = [0]
    with source() as port, closing(way.open_port(port)) as stream:

        def pull() -> None:
            with suppress(OSError):
                while piece := stream.recv(1 << 20):
                    moved[0] += len(piece)

        threading.Thread(target=pull, daemon=True).start()
        yield moved
        stream.shutdown(socket.SHUT_RDWR)


@contextmanager
def _pushing(way: Reach) -> Iterator[list[int]]:
    """A push under way: bytes that have arrived so far."""
    moved = [0]

    def swallow(client: socket.socket) -> None:
        while piece := client.recv(1 << 20):
            moved[0] += len(piece)

    with served(swallow) as port, closing(way.open_port(port)) as stream:

        def push() -> None:
            with suppress(OSError):
                while True:
                    stream.sendall(bytes(1 << 18))

        threading.Thread(target=push, daemon=True).start()
        yield moved
        stream.shutdown(socket.SHUT_RDWR)


def echo() -> served:
    """A port that answers each byte with itself."""

    def answer(client: socket.socket) -> None:
        while piece := client.recv(1 << 16):
            client.sendall(piece)

    return served(answer)


def source() -> served:
    """A port that sends bytes without end."""

    def send(client: socket.socket) -> None:
        piece = os.urandom(1 << 20)
        while True:
            client.sendall(piece)

    return served(send)


def sink() -> served:
    """A port that takes a push, and answers with a byte once all of it is there."""

    def take(client: socket.socket) -> None:
        left = BULK
        while left > 0 and (piece := client.recv(1 << 20)):
            left -= len(piece)
        client.sendall(b"k")

    return served(take)


class served:
    """A port where each connection is handed to `handle`, as long as the `with` block lasts."""

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with suppress(OSError):
                    handle(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> int:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return int(self._server.server_address[1])

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


if __name__ == "__main__":
    main()
