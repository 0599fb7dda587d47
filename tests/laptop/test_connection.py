"""A connection to a runtime: only to the pinned one, only with the key, in time, and every failure a sentence."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import paramiko
import psutil
import pytest
from bad_network import BadNetwork
from paramiko.auth_handler import AuthHandler
from sides import PATIENCE, Laptop, Runtime, free_port, started_sshd, until
from sides import Host as Sides

from colab_remote.errors import Unreachable, WrongRuntime
from colab_remote.laptop.connection import Connection, widen
from colab_remote.laptop.conversation import NEAR, Conversation
from colab_remote.laptop.hosts import Host
from colab_remote.laptop.login import open_connection
from colab_remote.ticket import fingerprint, parse_ticket


def known(host: Sides) -> Host:
    """The laptop's host, for our functions."""
    return Host("colab", parse_ticket(host.runtime.ticket), host.laptop.ours / "id_ed25519")


@contextmanager
def saying(text: bytes) -> Iterator[int]:
    """A port where whoever connects hears `text` and nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    other, _ = server.accept()
                except OSError:
                    return
                other.sendall(text)
                taken.append(other)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for other in taken:
            other.close()


def test_sshd_is_greeted_before_paramiko_is_imported(laptop: Laptop, runtime: Runtime, tmp_path: Path) -> None:
    laptop.public_line()
    (tmp_path / "paramiko.py").write_text("import os, sys\nsys.stdin.read()\nos._exit(7)\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        ticket = runtime.ticket.replace(f":{runtime.port}/", f":{server.getsockname()[1]}/")
        connecting = subprocess.Popen(
            [sys.executable, "-m", "colab_remote", "connect", ticket],
            env={**laptop.env, "COLAB_REMOTE_LINE": "0", "PYTHONPATH": str(tmp_path)},
            stdin=subprocess.PIPE,
            cwd=tmp_path,
        )
        with server.accept()[0] as there:
            there.settimeout(20)
            assert there.recv(100) == b"SSH-2.0-colab_remote\r\n"
        connecting.communicate(b"go on", 20)
    assert connecting.returncode == 7


def test_an_agent_answers(host: Sides) -> None:
    with closing(open_connection(known(host))) as connection, closing(connection.open_agent()) as agent:
        assert agent.ask("machine", workdir="/").result["cpus"] >= 1
        assert agent.ask("ping").data == b""


def test_several_agents_share_a_connection(host: Sides) -> None:
    with closing(open_connection(known(host))) as connection:
        agents = [connection.open_agent() for _ in range(3)]
        for agent in agents:
            agent.ask("ping")


def near(connection: Connection) -> bool:
    connection.open_agent().close()
    return connection.quickest < NEAR


@contextmanager
def agent_behind(host: Sides, delay: float) -> Iterator[tuple[BadNetwork, Connection, Conversation]]:
    """An agent that is `delay` seconds away, each way, and taken for near where that is nothing."""
    with BadNetwork(("127.0.0.1", host.runtime.port), delay=delay) as network:
        ticket = host.runtime.ticket.replace(f":{host.runtime.port}/", f":{network.port}/")
        with closing(open_connection(Host("colab", parse_ticket(ticket), known(host).key))) as connection:
            if not delay:  # on a busy machine a round trip may take long
                until(lambda: near(connection))
            yield network, connection, connection.open_agent()


def listed(folder: Path, data: bytes) -> dict[str, Any]:
    """An output that holds `data`, as it is asked for."""
    (folder / "output").write_bytes(data)
    facts = (folder / "output").stat()
    names = {"size": facts.st_size, "mtime_ns": facts.st_mtime_ns, "inode": facts.st_ino}
    return {"path": "output", "offset": 0, "digest": "", **names}


@pytest.mark.parametrize(("delay", "deflated"), [(0.0, False), (0.03, True)])
def test_what_a_near_agent_says_is_not_deflated(host: Sides, tmp_path: Path, delay: float, deflated: bool) -> None:
    asked = listed(tmp_path, b"much of the same " * 20_000)
    with agent_behind(host, delay) as (network, _, agent):
        before = network.passed
        assert len(agent.ask("output_send", folder=str(tmp_path), **asked).data) == 340_000
        assert (network.passed - before < 200_000) == deflated


@pytest.mark.parametrize(("delay", "megabytes"), [(0.0, 2), (0.05, 12)])
def test_as_much_is_under_way_as_fills_the_line(host: Sides, tmp_path: Path, delay: float, megabytes: int) -> None:
    asked = listed(tmp_path, os.urandom(30 << 20))
    with agent_behind(host, delay) as (_, connection, agent):
        agent.start("output_send", folder=str(tmp_path), **asked)  # nobody reads the answer
        until(lambda: connection.passed[1] > (megabytes << 20) * 0.95)
        time.sleep(0.5)
        assert connection.passed[1] < (megabytes << 20) * 1.2


def test_the_cipher_is_aes_gcm(host: Sides) -> None:
    with closing(open_connection(known(host))) as connection:
        assert connection._transport.local_cipher == "aes256-gcm@openssh.com"
        assert cast("socket.socket", connection._transport.sock).getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_gigabyte_needs_no_new_keys(host: Sides) -> None:
    with closing(open_connection(known(host))) as connection:
        packetizer = connection._transport.packetizer
        assert packetizer.REKEY_BYTES > 1 << 30
        assert packetizer.REKEY_PACKETS < 1 << 31, "a packet's number must not come twice under one key"


def test_a_port_of_the_runtime_is_a_stream(host: Sides) -> None:
    with saying(b"from the runtime") as port, closing(open_connection(known(host))) as connection:
        stream = connection.open_port(port)
        assert stream.recv(99) == b"from the runtime"
        stream.close()


def test_a_port_where_nobody_listens_says_so(host: Sides) -> None:
    port = free_port()
    with (
        closing(open_connection(known(host))) as connection,
        pytest.raises(Unreachable, match=f"port {port} of `colab`"),
    ):
        connection.open_port(port)


def test_another_host_key_is_refused_by_all(laptop: Laptop, tmp_path: Path) -> None:
    port = free_port()
    with started_sshd(tmp_path / "pinned", port=port) as runtime:
        runtime.admit(laptop.public_line())
        assert laptop("connect", runtime.ticket).returncode == 0
    with started_sshd(tmp_path / "other", port=port) as other:
        other.admit(laptop.public_line())
        ours = laptop("connect", runtime.ticket)
        status = laptop("status")
        plain = subprocess.run(
            ["ssh", "-F", str(laptop.home / ".ssh" / "config"), "colab", "true"], capture_output=True, text=True
        )
        host = Host("colab", parse_ticket(runtime.ticket), laptop.ours / "id_ed25519")
        with pytest.raises(WrongRuntime):
            open_connection(host)
        listed, jobs = laptop("list", "--json"), laptop("jobs")
    pinned, offered = runtime.ticket.partition("#")[2], other.ticket.partition("#")[2]
    assert (ours.returncode, ours.stdout) == (5, "")
    assert f"  pinned   {pinned}\n  offered  {offered}\n\nhint: " in ours.stderr
    assert status.returncode == 5
    assert "than the one pinned on " in status.stderr
    assert plain.returncode == 255
    assert "HOST IDENTIFICATION HAS CHANGED" in plain.stderr
    assert '"another runtime"' in listed.stdout
    for done in (listed, jobs):
        assert "than the one pinned on " in done.stderr


def test_a_key_that_is_not_let_in(laptop: Laptop, runtime: Runtime) -> None:
    done = laptop("connect", runtime.ticket)
    assert (done.returncode, done.stdout) == (4, "")
    assert "does not let this laptop's key in" in done.stderr
    assert "hint: run the cell that `colab-remote cell` prints" in done.stderr
    assert not (laptop.home / ".ssh" / "config").exists()


class Withholding(AuthHandler):
    """An sshd's half of a login that answers nothing before it has seen the key."""

    def _parse_service_request(self, message: paramiko.Message) -> None:
        self.asked = message

    def _parse_userauth_request(self, message: paramiko.Message) -> None:
        super()._parse_service_request(self.asked)  # type: ignore[misc]
        super()._parse_userauth_request(message)  # type: ignore[misc]


class Admitting(paramiko.ServerInterface):
    transport: paramiko.Transport

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED


class HangingUp(Admitting):
    """A network that is cut when the key has been shown."""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.transport.close()
        return paramiko.common.AUTH_FAILED


class Hesitating(Admitting):
    """An sshd that does not say whether it runs a command."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.over.wait(PATIENCE)
        return False


@contextmanager
def odd_sshd(laptop: Laptop, folder: Path, server: Admitting) -> Iterator[Host]:
    """The host whose sshd is `server`, which sees the key before it answers anything."""
    laptop.public_line()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    host_key = paramiko.Ed25519Key(filename=str(folder / "key"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            server.transport = transport = paramiko.Transport(listener.accept()[0])
            transport.add_server_key(host_key)
            transport.auth_handler = Withholding(transport)
            transport.start_server(server=server)
            transport.join()

        threading.Thread(target=serve, daemon=True).start()
        address = f"ssh://somebody@127.0.0.1:{listener.getsockname()[1]}/#{fingerprint(host_key.asbytes())}"
        yield Host("colab", parse_ticket(address), laptop.ours / "id_ed25519")


def test_the_key_is_shown_without_a_round_trip_to_ask_for_that(laptop: Laptop, tmp_path: Path) -> None:
    with odd_sshd(laptop, tmp_path, Admitting()) as host, closing(open_connection(host, 10)) as there:
        assert there.alive


def test_a_login_that_is_cut_is_not_told_as_a_key_that_is_refused(laptop: Laptop, tmp_path: Path) -> None:
    with odd_sshd(laptop, tmp_path, HangingUp()) as host, pytest.raises(Unreachable, match="hung up during the login"):
        open_connection(host, 10)


def test_an_sshd_that_does_not_start_the_agent_is_given_up(laptop: Laptop, tmp_path: Path) -> None:
    server = Hesitating()
    with odd_sshd(laptop, tmp_path, server) as host:
        with closing(open_connection(host, 1)) as there, pytest.raises(Unreachable, match="did not start in time"):
            there.open_agent()
        server.over.set()


def test_new_keys_are_no_answer_to_a_probe(laptop: Laptop, tmp_path: Path) -> None:
    with (
        started_sshd(tmp_path / "rekeying", "RekeyLimit default 1") as runtime,
        BadNetwork(("127.0.0.1", runtime.port), delay=0.05) as network,
    ):
        runtime.admit(laptop.public_line())
        ticket = parse_ticket(runtime.ticket.replace(f":{runtime.port}/", f":{network.port}/"))
        with closing(open_connection(Host("colab", ticket, laptop.ours / "id_ed25519"))) as connection:
            assert min(connection.probe(PATIENCE) for _ in range(40)) >= 0.1


def test_nothing_is_said_of_a_channel_that_is_closed(host: Sides) -> None:
    with (
        closing(open_connection(known(host))) as connection,
        saying(b"and that was all") as port,
        closing(connection.open_port_channel(port)) as channel,
    ):
        assert channel.recv(100) == b"and that was all"
        connection.probe(PATIENCE)
        before = connection.passed[0]
        widen(channel, 1)
        assert connection.passed[0] > before, "it is open"
        channel.close()
        connection.probe(PATIENCE)
        before = connection.passed[0]
        widen(channel, 1)
        assert connection.passed[0] == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak SSH"),
        (b"", "does not speak SSH"),
        (bytes(5000), "does not speak SSH"),
        (b"SSH-1.5-old\r\n", "has no way in common with this laptop"),
        (b"SSH-2.0-silent\r\n", "does not speak SSH, or hung up"),
    ],
)
def test_what_does_not_speak_ssh_is_noticed_in_time(laptop: Laptop, runtime: Runtime, text: bytes, said: str) -> None:
    with saying(text) as port:
        done = laptop("--timeout", "1", "connect", runtime.ticket.replace(str(runtime.port), str(port), 1))
    assert (done.returncode, done.stdout) == (4, "")
    assert f"`127.0.0.1:{port}` {said}" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 3, "one message and one hint"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("yes noise", "prints without end"),
        ("exit 3", "it said nothing"),
        ("echo broken >&2; exit 3", "broken"),
        ("sh -c 'PATH=/nowhere; python3'", "has no `python3`"),
    ],
)
def test_an_agent_that_cannot_start_says_why(laptop: Laptop, tmp_path: Path, command: str, said: str) -> None:
    with started_sshd(tmp_path / "odd", f"ForceCommand {command}") as runtime:
        runtime.admit(laptop.public_line())
        done = laptop("connect", runtime.ticket)
    assert done.returncode == 1, done.stderr
    assert said in done.stderr


def test_an_agent_that_never_starts_is_given_up(laptop: Laptop, tmp_path: Path) -> None:
    with started_sshd(tmp_path / "slow", "ForceCommand sleep 60") as runtime:
        runtime.admit(laptop.public_line())
        done = laptop("--timeout", "1", "connect", runtime.ticket)
    assert done.returncode == 4
    assert "did not start in time" in done.stderr


def test_what_a_login_shell_prints_first_does_no_harm(laptop: Laptop, tmp_path: Path) -> None:
    noise = 'ForceCommand head -c 60000 /dev/zero | tr "\\\\0" x; printf "no end"; eval "$SSH_ORIGINAL_COMMAND"'
    with started_sshd(tmp_path / "noisy", noise) as runtime:
        runtime.admit(laptop.public_line())
        done = laptop("connect", runtime.ticket)
    assert done.returncode == 0, done.stderr


def test_several_at_once_are_all_known_to_ssh_and_forgotten(laptop: Laptop, runtime: Runtime) -> None:
    names = [f"vm-{number}" for number in range(6)]
    runtime.admit(laptop.public_line())
    connecting = [laptop.started("connect", runtime.ticket, "--name", name, "--open", "none") for name in names]
    assert [(command.communicate()[1], command.returncode) for command in connecting] == [("", 0)] * 6
    generated = (laptop.ours / "config").read_text()
    assert sorted(re.findall(r"^Host (.+)$", generated, re.MULTILINE)) == names
    assert (laptop.home / ".ssh" / "config").read_text().count("Include") == 1
    leaving = [laptop.started("disconnect", name) for name in names]
    assert [(command.communicate()[0], command.returncode) for command in leaving] == [("", 0)] * 6
    assert not (laptop.home / ".ssh" / "config").exists()
    assert not (laptop.ours / "config").exists()


def test_interrupted_it_leaves_nothing_half_written(laptop: Laptop, runtime: Runtime) -> None:
    laptop.public_line()
    before = sorted(laptop.home.rglob("*"))
    with saying(b"") as port:
        ticket = runtime.ticket.replace(str(runtime.port), str(port), 1)
        command = [sys.executable, "-m", "colab_remote", "connect", ticket]
        process = subprocess.Popen(command, env=laptop.env, cwd=laptop.home, stderr=subprocess.PIPE, text=True)
        _wait_until_connected(process.pid, port)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.strip() == ""
    assert sorted(laptop.home.rglob("*")) == before


def _wait_until_connected(pid: int, port: int) -> None:
    deadline = time.monotonic() + 20
    while not any(found.raddr and found.raddr.port == port for found in psutil.Process(pid).net_connections()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
