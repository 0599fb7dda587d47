"""The process that outlives `launch`: it keeps sshd and the tunnel running, and says where they are.

`python -m colab_remote.runtime.supervisor` reads one JSON line of orders on stdin, answers with one JSON line on
stdout once the runtime can be reached (or why it cannot), and goes on until SIGTERM. What it keeps in
`runtime.json` is where `launch` and `shutdown` find it. It imports little: it stays in memory as long as the VM.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from colab_remote.both.processes import alive, boot_id, started
from colab_remote.both.whole import read_json, write_json, write_whole
from colab_remote.errors import ColabRemoteError
from colab_remote.runtime.ending import end_tree
from colab_remote.runtime.tunnels import Plan, Tunnel, from_here, open_tunnel

RECORD = "runtime.json"
LOG = "supervisor.log"
_LOG_SIZE = 1 << 20  # bytes; then it begins anew, the old one kept once
_PATIENCE = 20  # seconds for sshd to listen
_LOOK = 0.25  # seconds between two looks at what it supervises


@dataclass(frozen=True, slots=True)
class Orders:
    """What `launch` wants: sshd's command, the tunnel, and `facts` to record with them.

    `lock` is the descriptor of launch's lock: should launch be killed, no other one begins before we have recorded.
    """

    state: str
    sshd: list[str]
    bind_host: str
    port: int
    tunnel: str
    region: str | None
    relay: str
    facts: dict[str, Any]
    lock: int
    token: str = field(repr=False)


class Stop(BaseException):
    """SIGTERM came. Not an Exception, which libraries catch and make another of."""


class Supervisor:
    """sshd and the tunnel, restarted when they die."""

    def __init__(self, orders: Orders) -> None:
        self.orders, self.state = orders, Path(orders.state)
        self.me = (started(os.getpid()), os.getpid())
        self.sshd: subprocess.Popen[bytes] | None = None
        self.tunnel: Tunnel | None = None
        self.recorded: dict[str, Any] = {}
        self.children: list[tuple[int, int]] = []  # what must not outlive us, by pid and start time
        self.took: dict[str, float] = {}
        self.trouble = ""  # what is not as it should be, and being mended

    def start(self) -> None:
        """Bring both up and record them. Raises ColabRemoteError."""
        began = time.monotonic()
        self._start_sshd()
        listening = time.monotonic()
        self._open_tunnel()
        self.took = {"sshd": listening - began, "tunnel": time.monotonic() - listening}
        self._record()

    def watch(self) -> None:
        """Look after both until Stop, or until the state folder was removed or is another supervisor's."""
        failures = 0
        while True:
            time.sleep(min(_LOOK * 2**failures, 30))
            if not (self.state / "authorized_keys").exists() or self._replaced():
                return  # nobody can log in any more, or no launch would find us
            try:
                self._look()
                failures = 0
            except Exception as error:
                # Whatever it was, the next look may find it gone, and nobody else looks.
                failures = min(failures + 1, 8)
                self._tell(str(error) if isinstance(error, ColabRemoteError) else repr(error))

    def end(self) -> None:
        """End sshd with every session on it, and the tunnel; leave no record."""
        import psutil

        for child in psutil.Process().children():
            end_tree(child.pid)
        if self._replaced():
            return
        if self.tunnel:
            self.tunnel.close()
        (self.state / RECORD).unlink(missing_ok=True)

    def _look(self) -> None:
        assert self.sshd
        assert self.tunnel
        if self.sshd.poll() is not None:
            self._tell(self.trouble or f"sshd ended with {self.sshd.returncode}, starting it again")
            self._start_sshd()
        if not self.tunnel.alive():
            self._tell(self.trouble or "the tunnel is gone, opening it again")
            self.tunnel.close()
            self._open_tunnel()
        self.trouble = ""
        self._record()
        _bound(self.state / LOG)

    def _tell(self, trouble: str) -> None:
        log(trouble)
        self.trouble = trouble
        with contextlib.suppress(OSError):  # a full disk; to mend what runs is more than to record it
            self._record()

    def _start_sshd(self) -> None:
        host, port = self.orders.bind_host, self.orders.port
        try:
            # Another's sshd there would be taken for ours.
            socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
        except OSError as error:
            raise ColabRemoteError(
                f"sshd does not start on port {port}: {os.strerror(error.errno or 0)}",
                "choose another one with --bind, or end what has it: `ss -ltnp` names that",
            ) from None
        quiet = subprocess.DEVNULL
        self.sshd = subprocess.Popen(self.orders.sshd, stdin=quiet, stdout=quiet, stderr=subprocess.PIPE)
        self._note_children()
        assert self.sshd.stderr
        repeating = threading.Thread(target=_repeat, args=(self.sshd.stderr,), daemon=True)
        repeating.start()
        deadline = time.monotonic() + _PATIENCE
        while not _listens(host, port):
            if self.sshd.poll() is not None or time.monotonic() > deadline:
                repeating.join(1)
                raise ColabRemoteError(f"sshd does not start on port {port}", f"`{self.state / LOG}` has its own words")
            time.sleep(0.01)

    def _open_tunnel(self) -> None:
        orders = self.orders
        name = orders.facts["name"]
        plan = Plan(self.state, orders.token, orders.region, orders.bind_host, name, orders.relay, self._note_children)
        self.tunnel = open_tunnel(orders.tunnel, orders.port, plan)
        self._note_children()

    def _note_children(self) -> None:
        """Record what must not outlive us as soon as it is there: should we be killed, the next launch ends it."""
        import psutil

        self.children = [(child.pid, started(child.pid)) for child in psutil.Process().children()]
        with contextlib.suppress(OSError):  # a full disk; the next look tries again
            self._record()

    def _recorded_by(self) -> tuple[int, int]:
        """The live supervisor that the record names, as `me` is; zeros where it names none."""
        try:
            found = read_json(self.state / RECORD)
        except (OSError, ValueError):
            return 0, 0
        lives = alive(found.get("pid"), found.get("start"), found.get("boot"))
        return (found["start"], found["pid"]) if lives else (0, 0)

    def _replaced(self) -> bool:
        """Whether a later launch, which did not find our record, has started another supervisor."""
        return self._recorded_by() > self.me

    def _record(self) -> None:
        """Keep what there is where launch finds it; before there is an address, it only ends what it finds."""
        assert self.sshd
        record = {
            **self.orders.facts,
            "pid": self.me[1],
            "start": self.me[0],
            "boot": boot_id(),
            "sshd": self.sshd.pid,
            "children": self.children,
            "address": asdict(self.tunnel.address) if self.tunnel else None,
            "took": self.took,
            "trouble": self.trouble,
        }
        if record != self.recorded or self._recorded_by() != self.me:
            write_json(self.state / RECORD, record)
            self.recorded = record


def log(text: str) -> None:
    """A line in the supervisor's log, which is its stderr; none where the disk is full."""
    with contextlib.suppress(OSError):
        print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text, file=sys.stderr, flush=True)  # noqa: T201


def _repeat(said: Iterable[bytes]) -> None:
    """sshd's own lines, which have no time."""
    for line in said:
        log(f"sshd: {line.decode('utf-8', 'backslashreplace').rstrip()}")


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((from_here(host), port), 1) as probe:
            probe.settimeout(2)
            return probe.recv(4) == b"SSH-"
    except OSError:
        return False


def _bound(path: Path) -> None:
    """Begin the log anew once it is long: emptied in place, because it stays open as our stderr."""
    if path.stat().st_size > _LOG_SIZE:
        write_whole(path.with_suffix(".log.1"), path.read_bytes()[-_LOG_SIZE:])
        os.truncate(path, 0)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the end must not be interrupted
    raise Stop


def main() -> None:
    """Take orders, answer, and supervise."""
    orders = Orders(**json.loads(sys.stdin.readline()))
    # Only the answer goes to whoever launched us: pyngrok shows on stdout how its download gets on.
    reply = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, _stop)
    supervisor = Supervisor(orders)
    try:
        try:
            supervisor.start()
            answer: dict[str, Any] = {"record": supervisor.recorded}
        except ColabRemoteError as error:
            answer = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
        os.close(orders.lock)
        with contextlib.suppress(BrokenPipeError), reply:  # whoever launched us may have been killed
            reply.write(json.dumps(answer) + "\n")
        if "record" in answer:
            supervisor.watch()
    except Stop:
        log("told to stop")
    finally:
        supervisor.end()


if __name__ == "__main__":
    main()
