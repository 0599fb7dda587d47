"""The way through HTTP, seen from the laptop: what a refusal says, and a far end that falls silent."""

from __future__ import annotations

import http.server
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bad_network import BadNetwork
from certificate import self_signed
from sides import PATIENCE, Host, Laptop, free_port
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from colab_remote.both.websocket import PATH
from colab_remote.laptop.ssh_config import proxy_command
from colab_remote.runtime.bridge import Bridge

FINGERPRINT = "SHA256:" + "A" * 42 + "E"


@contextmanager
def answering(code: int, body: str = "", context: ssl.SSLContext | None = None, **headers: str) -> Iterator[int]:
    """A web server that says this to every request; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def connected(laptop: Laptop, port: int, scheme: str = "ws", timeout: str = "20") -> subprocess.CompletedProcess[str]:
    ticket = f"{scheme}://root@127.0.0.1:{port}/content#{FINGERPRINT}"
    return laptop("--timeout", timeout, "connect", ticket, "--open", "none")


@pytest.mark.parametrize(
    ("code", "exit_code", "says"),
    [
        ("ERR_NGROK_3200", 4, "the endpoint is offline: the cell has stopped, or the VM is gone"),
        ("ERR_NGROK_8012", 4, "what is behind it does not answer"),
        ("ERR_NGROK_725", 6, "traffic for this month is used up"),
        ("ERR_NGROK_734", 6, "too many connections a minute"),
        ("ERR_NGROK_6024", 6, "page for browsers"),
        ("ERR_NGROK_31415", 6, "https://ngrok.com/docs/errors/err_ngrok_31415"),
    ],
)
@pytest.mark.parametrize("where", ["header", "body"])
def test_a_refusal_of_ngroks_is_told_with_what_to_do(
    laptop: Laptop, code: str, exit_code: int, says: str, where: str
) -> None:
    said: dict[str, Any] = {"ngrok_error_code": code} if where == "header" else {"body": f"<p>sorry: {code}</p>"}
    with answering(404, **said) as port:
        done = connected(laptop, port)
    assert done.returncode == exit_code
    assert says in done.stderr
    assert "hint: " in done.stderr


def test_another_web_server_is_no_runtime(laptop: Laptop) -> None:
    with answering(200, "hello") as port:
        done = connected(laptop, port)
    assert done.returncode == 4
    assert "answers 200, which is no runtime's answer" in done.stderr


def test_something_that_speaks_no_http_is_named(laptop: Laptop, host: Host) -> None:
    done = connected(laptop, host.runtime.port)
    assert done.returncode == 4
    assert "does not speak WebSocket" in done.stderr


def test_somebody_who_never_answers_is_given_up(laptop: Laptop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = connected(laptop, silent.getsockname()[1], timeout="3")
    assert done.returncode == 4
    assert "did not answer within 3 s" in done.stderr


def test_it_is_said_that_no_browser_asks(laptop: Laptop) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server, laptop.started("proxy", f"ws://127.0.0.1:{server.getsockname()[1]}"):
        client, _ = server.accept()
        with client:
            assert b"ngrok-skip-browser-warning: 1\r\n" in client.recv(9999)


def test_nobody_there(laptop: Laptop) -> None:
    done = connected(laptop, free_port())
    assert done.returncode == 4
    assert "nobody listens" in done.stderr


def test_a_certificate_that_nobody_here_trusts_is_refused(laptop: Laptop, tmp_path: Path) -> None:
    with answering(200, context=self_signed(tmp_path)) as port:
        done = connected(laptop, port, "wss")
    assert done.returncode == 4
    assert "a certificate that this laptop does not trust" in done.stderr
    assert "a company's proxy may open TLS" in done.stderr


@pytest.fixture
def bridged(host: Host) -> Iterator[Host]:
    """A laptop that knows the runtime through a bridge, as `web`."""
    bridge = Bridge("127.0.0.1", host.runtime.port)
    ticket = host.runtime.ticket.replace("ssh://", "ws://").replace(f":{host.runtime.port}/", f":{bridge.port}/")
    done = host.laptop("connect", ticket, "--name", "web", "--open", "none")
    assert done.returncode == 0, done.stderr
    yield host
    bridge.close()


def test_everything_goes_through_a_bridge(bridged: Host) -> None:
    laptop = bridged.laptop
    assert laptop("run", "--host", "web", "--", "echo through").stdout == "through\n"
    done = subprocess.run(
        ["ssh", "-F", str(laptop.ours / "config"), "web", "head -c 3000000 /dev/zero | wc -c"],
        env=laptop.env, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.stdout == "3000000\n", done.stderr
    (laptop.home / "big").write_bytes(bytes(range(256)) * 20_000)
    copied = subprocess.run(
        ["scp", "-q", "-F", str(laptop.ours / "config"), "big", f"web:{bridged.runtime.workdir}/big"],
        env=laptop.env, cwd=laptop.home, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert copied.returncode == 0, copied.stderr
    assert (bridged.runtime.workdir / "big").read_bytes() == (laptop.home / "big").read_bytes()


def test_ssh_called_in_a_folder_of_somebody_elses_runs_nothing_of_it(bridged: Host, tmp_path: Path) -> None:
    (tmp_path / "colab_remote").mkdir()
    (tmp_path / "colab_remote" / "__init__.py").write_text("open('it ran', 'w')")
    laptop = bridged.laptop
    done = subprocess.run(
        ["ssh", "-F", str(laptop.ours / "config"), "web", "echo here"],
        env=laptop.env, cwd=tmp_path, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.stdout == "here\n", done.stderr
    assert not (tmp_path / "it ran").exists()


def test_a_half_open_connection_is_noticed_at_both_ends_within_30_s(laptop: Laptop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sshd:
        bridge = Bridge("127.0.0.1", sshd.getsockname()[1])
        pipe = subprocess.PIPE
        with BadNetwork(("127.0.0.1", bridge.port)) as network:
            words = [sys.executable, "-m", "colab_remote", "proxy", f"ws://127.0.0.1:{network.port}"]
            proxy = subprocess.Popen(words, env=laptop.env, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
            inside, _ = sshd.accept()
            inside.sendall(b"SSH-")
            assert proxy.stdout
            assert proxy.stdout.read(4) == "SSH-"
            network.freeze()
            inside.settimeout(30)
            assert inside.recv(1) == b"", "the bridge has hung up on sshd"
            assert proxy.wait(30) == 4
            _, said = proxy.communicate()
        inside.close()
        bridge.close()
    assert "error: contact with `127.0.0.1` was lost, and this session with it\n\nhint: " in said


def test_another_host_key_behind_the_bridge_is_refused(bridged: Host) -> None:
    known = bridged.laptop.ours / "hosts" / "web.json"
    ticket = known.read_text().split("#SHA256:")[1][:43]
    known.write_text(known.read_text().replace(ticket, "B" * 42 + "E"))
    done = bridged.laptop("run", "--host", "web", "--", "true")
    assert done.returncode == 5


def test_the_bridge_leads_nowhere_else(host: Host) -> None:
    bridge = Bridge("127.0.0.1", host.runtime.port)
    with socket.create_connection(("127.0.0.1", bridge.port)) as stranger:
        stranger.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert stranger.recv(100).startswith(b"HTTP/1.1 404")
    bridge.close()


@contextmanager
def joined(port: int) -> Iterator[ClientConnection]:
    """A WebSocket to a bridge in front of that port."""
    bridge = Bridge("127.0.0.1", port)
    with connect(f"ws://127.0.0.1:{bridge.port}{PATH}", compression=None, proxy=None) as websocket:
        yield websocket
    bridge.close()


def test_a_message_in_fragments_arrives_whole_and_what_comes_back_is_carried_until_its_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sshd, joined(sshd.getsockname()[1]) as websocket:
        inside, _ = sshd.accept()
        fragments = [bytes([number]) * 100_000 for number in range(10)]
        with inside, inside.makefile("rb") as arrived:
            websocket.send(fragments)
            assert arrived.read(1_000_000) == b"".join(fragments)
            inside.sendall(b"bye")
            inside.shutdown(socket.SHUT_RDWR)
        assert list(websocket) == [b"bye"]
        assert websocket.close_code == 1000


def test_text_is_no_ssh() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sshd, joined(sshd.getsockname()[1]) as websocket:
        websocket.send("hello")
        assert _close_code(websocket) == 1003


def test_an_sshd_that_does_not_answer_ends_the_connection() -> None:
    with joined(free_port()) as websocket:
        assert _close_code(websocket) == 1013


def _close_code(websocket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed):
        websocket.recv(PATIENCE)
    return websocket.close_code


@pytest.mark.parametrize(
    ("python", "platform", "line"),
    [
        ("/opt/a b/it's/python", "linux", "'/opt/a b/it'\"'\"'s/python' -P -m colab_remote proxy wss://x.ngrok.app"),
        (r"C:\Users\홍 길동\100%\python.exe", "win32",
         r'"C:/Users/홍 길동/100%%/python.exe" -P -m colab_remote proxy wss://x.ngrok.app'),
    ],
)  # fmt: skip
def test_the_proxy_command_is_quoted_for_the_shell_that_reads_it(python: str, platform: str, line: str) -> None:
    assert proxy_command("wss://x.ngrok.app", python, platform) == line
