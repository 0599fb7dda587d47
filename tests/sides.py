"""The two sides of a test, real both: a runtime with an sshd, a laptop with a HOME of its own."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from colab_remote.both.processes import started
from colab_remote.laptop.hosts import Host as KnownHost
from colab_remote.ticket import parse_ticket

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
SMALL_DISK = 1 << 20  # bytes of the `small_disk` that a test may have
PATIENCE = 20.0  # seconds that anything local may take

T = TypeVar("T")


@dataclass(frozen=True)
class Runtime:
    """A running sshd: `ticket` names it, `state` is what agents take for their state folder."""

    ticket: str
    port: int
    workdir: Path
    state: Path
    authorized_keys: Path

    def admit(self, public_line: str) -> None:
        """Let one more key in."""
        with self.authorized_keys.open("a") as file:
            file.write(public_line.strip() + "\n")


class Started(subprocess.Popen[str]):
    """A process that a `with` block ends, where Popen's own would wait for it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        super().__exit__(kind, error, trace)


@dataclass(frozen=True)
class Laptop:
    """An empty HOME, and the real command run in it."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(
        self, *words: str, cwd: Path | None = None, stdin: str | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `colab-remote WORDS`, `more` added to its environment; stdout and stderr come apart."""
        return subprocess.run(
            [sys.executable, "-m", "colab_remote", *words],
            cwd=cwd or self.home,
            env={**self.env, **more},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def started(self, *words: str, cwd: Path | None = None, into: Path | None = None) -> Started:
        """`colab-remote WORDS`, left to itself, its stdout in a pipe or `into` a file; ended with a `with` block."""
        with into.open("wb") if into else nullcontext(subprocess.PIPE) as sink:
            return Started(
                [sys.executable, "-m", "colab_remote", *words],
                cwd=cwd or self.home,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.PIPE,
                text=True,
            )

    def public_line(self) -> str:
        """The laptop's public key, made by the command that every user runs first."""
        done = self("cell", "--embed")
        assert done.returncode == 0, done.stderr
        return (self.ours / "id_ed25519.pub").read_text("utf-8")

    def lines(self) -> list[int]:
        """The processes that are the lines of this laptop's hosts."""
        found = []
        for record in self._sockets.glob("*.json"):
            with suppress(OSError):  # it may be ending
                found.append(int(json.loads(record.read_text())["pid"]))
        return [pid for pid in found if started(pid)]

    def end_lines(self) -> None:
        """End its lines as `disconnect` does, and see that they are gone."""
        pids = self.lines()
        for path in self._sockets.glob("*.sock"):
            with socket.socket(socket.AF_UNIX) as line, suppress(OSError):
                line.settimeout(PATIENCE)
                line.connect(str(path))
                line.sendall(b'{"open":"stop"}\n')
                while line.recv(99):
                    pass
        deadline = time.monotonic() + PATIENCE
        while any(map(started, pids)):
            assert time.monotonic() < deadline, f"a line does not end: {pids}"
            time.sleep(0.01)

    @property
    def _sockets(self) -> Path:
        return Path(self.env["XDG_RUNTIME_DIR"]) / "colab-remote"

    @property
    def ours(self) -> Path:
        """The folder of our config, key and hosts."""
        return self.home / ".ssh" / "colab-remote"


@dataclass(frozen=True)
class Host:
    """A laptop that knows this worker's runtime as `colab`."""

    laptop: Laptop
    runtime: Runtime


class started_sshd:
    """An sshd with its own configuration in `folder`, `more` lines in it, as long as the `with` block lasts.

    Its sessions have `variables` in their environment.
    """

    def __init__(
        self, folder: Path, *more: str, port: int | None = None, host_key: Path | None = None, **variables: str
    ) -> None:
        self.folder, self.port, self.more, self.variables = folder, port or free_port(), more, variables
        self.host_key = host_key

    def __enter__(self) -> Runtime:
        assert SSHD, "sshd is missing: apt-get install openssh-server"
        for name in ("state", "content"):
            (self.folder / name).mkdir(mode=0o700, parents=True)
        key = self.host_key or self.folder / "host_key"
        if not self.host_key:
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        (self.folder / "sshd_config").write_text(self._config())
        self.log = (self.folder / "sshd.log").open("wb")
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")], stderr=self.log)
        wait_for_port(self.port)
        shown = subprocess.run(["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True)
        content = self.folder / "content"
        ticket = f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{content}#{shown.stdout.split()[1]}"
        return Runtime(ticket, self.port, content, self.folder / "state", self.folder / "authorized_keys")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        self.log.close()

    def _config(self) -> str:
        (self.folder / "authorized_keys").touch(mode=0o600)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return "\n".join(
            (
                f"ListenAddress 127.0.0.1:{self.port}",
                f"HostKey {self.host_key or self.folder / 'host_key'}",
                f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
                "StrictModes no",
                "PidFile none",
                "UsePAM no",
                "PermitRootLogin prohibit-password",
                "PasswordAuthentication no",
                "KbdInteractiveAuthentication no",
                "MaxStartups 100",
                "Subsystem sftp internal-sftp",
                *self.more,
                # A shell that is no first one reads no ~/.bashrc: what the developer's does is not this runtime's.
                f'SetEnv COLAB_REMOTE_STATE="{self.folder / "state"}" PATH="{path}" SHLVL=1'
                + "".join(f' {name}="{value}"' for name, value in self.variables.items()),
                "",
            )
        )


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Return once somebody listens there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Loopback:
    """The way from a laptop to a runtime where both are this machine, taken for a far one."""

    quickest = 0.1

    def __init__(self, name: str) -> None:
        ticket = parse_ticket(f"ssh://nobody@127.0.0.1:9/content#SHA256:{'A' * 43}")
        self.host = KnownHost(name, ticket, Path("/nonexistent"))

    def open_port(self, port: int) -> socket.socket:
        """A stream to a port."""
        return socket.create_connection(("127.0.0.1", port), PATIENCE)


def until(true: Callable[[], T], what: str = "it does not come to pass") -> T:
    """What `true()` says once that is not false."""
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found
