"""Ports of the runtime here, ports of the laptop there, and ssh through a door that lets in one connection."""

from __future__ import annotations

import json
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from bad_network import BadNetwork
from sides import PATIENCE, Host, Laptop, Runtime, free_port, until

from colab_remote.laptop.line.state import ask_line


@contextmanager
def echo() -> Iterator[int]:
    """A port that sends back what it gets, once it has had all of it."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            said = b""
            while piece := self.request.recv(1 << 16):
                said += piece
            self.request.sendall(b"heard " + said)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def said_to(port: int, words: bytes) -> bytes:
    """What `port` answers, an empty answer and a refusal tried again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as stream:
                stream.sendall(words)
                stream.shutdown(socket.SHUT_WR)
                found = b""
                while piece := stream.recv(1 << 16):
                    found += piece
            if found:
                return found
        except OSError:
            pass
        assert time.monotonic() < deadline, f"nobody answers at {port}"
        time.sleep(0.05)


@contextmanager
def running(laptop: Laptop, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = laptop.started(*words)
    try:
        yield command
    finally:
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=PATIENCE)
    assert command.returncode == 130


def test_a_port_of_the_runtime_is_here(host: Host) -> None:
    local = free_port()
    with echo() as port, running(host.laptop, "forward", f"{port}:{local}"):
        big = b"x" * 3_000_000
        assert said_to(local, b"one") == b"heard one"
        assert said_to(local, big) == b"heard " + big
        many = [threading.Thread(target=said_to, args=(local, b"some")) for _ in range(20)]
        for each in many:
            each.start()
        for each in many:
            each.join()


REVERSED = """
import sys
from colab_remote.laptop.hosts import load_host
from colab_remote.laptop.reach import reach
with reach(load_host("colab")) as reached:
    stream = reached.reverse(int(sys.argv[1]), int(sys.argv[2]))
    print("there", flush=True)
    sys.stdin.read()
    stream.close()
    print("gone", flush=True)
    sys.stdin.close()
    reached.open_agent().ask("ping")
"""


@pytest.mark.parametrize("line", ["1", "0"])
def test_a_port_of_this_laptop_is_there(host: Host, line: str) -> None:
    there = free_port()  # both sides are one machine, so the two ports differ
    with echo() as port:
        words = [sys.executable, "-c", REVERSED, str(there), str(port)]
        env = {**host.laptop.env, "COLAB_REMOTE_LINE": line}
        command = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert command.stdin
        assert command.stdout
        assert command.stdout.readline() == "there\n"
        big = b"x" * 3_000_000
        assert said_to(there, b"one") == b"heard one"
        assert said_to(there, big) == b"heard " + big
        said, _ = command.communicate(timeout=PATIENCE)
    assert (command.returncode, said) == (0, "gone\n")
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", there), 1).close()
        except ConnectionRefusedError:
            break
        assert time.monotonic() < deadline, "the runtime still listens"
        time.sleep(0.05)


def test_a_reverse_port_ends_with_a_client_that_left_before_it_was_there(
    laptop: Laptop, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, laptop.env[name])
    runtime.admit(laptop.public_line())
    with BadNetwork(("127.0.0.1", runtime.port), delay=0.5) as network, echo() as port:
        ticket = runtime.ticket.replace(f":{runtime.port}/", f":{network.port}/")
        assert laptop("connect", ticket, "--open", "none").returncode == 0
        assert laptop("jobs").returncode == 0
        there = free_port()
        with subprocess.Popen([sys.executable, "-c", REVERSED, str(there), str(port)], env=laptop.env) as leaving:
            until(lambda: (state := ask_line("colab")) and leaving.pid in state.users)
            leaving.kill()
        until(lambda: (state := ask_line("colab")) and not state.users)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", there), 1).close()


def test_a_reverse_port_that_is_taken_is_refused(host: Host) -> None:
    with echo() as port:
        done = host.laptop("forward", "--reverse", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"port {port} of `colab` cannot be listened on" in done.stderr


def test_where_nobody_listens_the_connection_ends_and_it_is_said(host: Host) -> None:
    port, local = free_port(), free_port()
    with running(host.laptop, "forward", f"{port}:{local}") as command:
        assert command.stderr
        assert command.stderr.readline() == f"forward  localhost:{local} is port {port} of colab\n"
        with socket.create_connection(("127.0.0.1", local), 5) as stream:
            assert stream.recv(1) == b""
        assert f"port {port} of `colab` refused" in command.stderr.readline()


@pytest.mark.parametrize("text", ["http", "0", "70000", "80:", "1:2:3", "-5"])
def test_what_is_no_port_is_refused(host: Host, text: str) -> None:
    done = host.laptop("forward", "--", text) if text != "80:" else host.laptop("forward", "0:80")
    assert done.returncode == 2
    assert "is no port" in done.stderr


class OneConnection:
    """A door like Google's: it lets in one connection, and hangs up on the second."""

    def __init__(self, target: int) -> None:
        self.target, self.refused = target, 0
        self._busy = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._busy.acquire(blocking=False):
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()
            else:
                self.refused += 1
                client.close()

    def _carry(self, client: socket.socket) -> None:
        from colab_remote.laptop.forward import join

        try:
            join(client, socket.create_connection(("127.0.0.1", self.target)))
        finally:
            self._busy.release()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def door(laptop: Laptop, runtime: Runtime) -> Iterator[OneConnection]:
    """A laptop that knows `colab` behind a door for one."""
    runtime.admit(laptop.public_line())
    door = OneConnection(runtime.port)
    ticket = runtime.ticket.replace(f":{runtime.port}/", f":{door.port}/")
    assert laptop("connect", ticket, "--open", "none").returncode == 0
    yield door
    door.close()


def test_everything_at_once_through_a_door_for_one(laptop: Laptop, door: OneConnection, runtime: Runtime) -> None:
    options = ("-F", str(laptop.home / ".ssh" / "config"))
    project = laptop.home / "one-door"
    project.mkdir()
    (project / "colab-remote.toml").touch()
    (project / "big").write_bytes(bytes(5_000_000))
    with_ssh = {"env": laptop.env, "cwd": laptop.home, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    following = laptop.started("run", "--no-sync", "--", "for i in 1 2 3; do echo $i; sleep 1; done")
    syncing = laptop.started("sync", cwd=project)
    ssh = subprocess.Popen(["ssh", *options, "colab", "echo by ssh"], **with_ssh)  # type: ignore[call-overload]
    copied = laptop.home / "one-door" / "big"
    scp = subprocess.Popen(  # type: ignore[call-overload]
        ["scp", "-q", *options, str(copied), f"colab:{runtime.workdir}/by-scp"], **with_ssh
    )
    assert ssh.communicate(timeout=PATIENCE)[0] == b"by ssh\n"
    scp.communicate(timeout=PATIENCE)
    _, errors = syncing.communicate(timeout=PATIENCE)
    assert syncing.returncode == 0, errors
    # A login shell that several start at once may complain first.
    assert following.communicate(timeout=PATIENCE)[0].endswith("1\n2\n3\n")
    assert (runtime.workdir / "by-scp").stat().st_size == 5_000_000
    assert (runtime.workdir / "one-door" / "big").stat().st_size == 5_000_000
    assert door.refused == 1, "that of `connect`, which tried"
    ticket = json.loads((laptop.ours / "hosts" / "colab.json").read_text())["ticket"]
    assert laptop("connect", ticket, "--open", "none").returncode == 0, "again, while the line is warm"
