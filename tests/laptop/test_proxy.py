"""A company's proxy on the way: a real tinyproxy, what it refuses, and where it is kept."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from certificate import self_signed
from hypothesis import given
from hypothesis import strategies as st
from sides import Laptop, Runtime, free_port, wait_for_port

from colab_remote.errors import Refused, Unreachable
from colab_remote.laptop.dial import dial
from colab_remote.laptop.forward import join
from colab_remote.laptop.hosts import Host
from colab_remote.laptop.proxy import parse_proxy, proxy_to, with_password
from colab_remote.runtime.bridge import Bridge
from colab_remote.ticket import parse_ticket

PASSWORD = "pass-w0rd.1"  # tinyproxy takes no others
# This machine, under a name that is not known to be it: the environment's proxy is not asked for loopback's own.
SOMEWHERE = "127.1"


class Tinyproxy:
    """A running tinyproxy with `lines` in its configuration; `asked()` says for what."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.folder, self.port = folder, free_port()
        config = [f"Port {self.port}", "Listen 127.0.0.1", f'LogFile "{folder}/log"', "LogLevel Connect", *lines]
        (folder / "tinyproxy.conf").write_text("\n".join([*config, ""]))
        program = shutil.which("tinyproxy")
        assert program, "tinyproxy is missing: apt-get install tinyproxy-bin"
        self.process = subprocess.Popen([program, "-d", "-c", str(folder / "tinyproxy.conf")])
        try:
            wait_for_port(self.port)
        except OSError:
            self.close()
            raise

    def asked(self) -> list[str]:
        """The addresses that it was asked to lead to."""
        return re.findall(r"CONNECT (\S+) HTTP", (self.folder / "log").read_text())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Tinyproxy]:
    found = Tinyproxy(tmp_path)
    yield found
    found.close()


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Tinyproxy]:
    """One that wants a name and a password."""
    found = Tinyproxy(tmp_path, f"BasicAuth me {PASSWORD}")
    yield found
    found.close()


@contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """A proxy that gives this answer to all; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client:
                        client.recv(9999)
                        client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def connect(laptop: Laptop, ticket: str, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return laptop("connect", ticket, "--open", "none", *words, **more)


def ssh(laptop: Laptop, command: str, said: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Plain ssh, with the laptop's config; what is `said` goes to the command's stdin."""
    argv = ["ssh", "-F", str(laptop.home / ".ssh" / "config"), "colab", command]
    return subprocess.run(argv, env={**laptop.env, **more}, input=said, capture_output=True, text=True, timeout=30)


def at(address: str, proxy: str) -> Host:
    return Host("colab", parse_ticket(f"{address}#SHA256:{'A' * 42}E"), Path("key"), proxy=proxy)


def refusal(port: int, proxy: str, scheme: str = "ssh", timeout: float = 10) -> Unreachable:
    """The error of the way to that port of this machine, through `proxy`."""
    with pytest.raises(Unreachable) as caught:
        dial(at(f"{scheme}://root@127.0.0.1:{port}/content", proxy), timeout).close()
    assert caught.value.hint
    return caught.value


@pytest.fixture
def known(laptop: Laptop, runtime: Runtime) -> Runtime:
    """A runtime that lets the laptop in."""
    runtime.admit(laptop.public_line())
    return runtime


def test_a_proxy_that_is_named_is_kept_for_all(laptop: Laptop, known: Runtime, proxy: Tinyproxy) -> None:
    done = connect(laptop, known.ticket, "--proxy", proxy.url)
    assert done.returncode == 0, done.stderr
    assert laptop("run", "--", "echo by the line").stdout == "by the line\n"
    assert ssh(laptop, "echo by ssh").stdout == "by ssh\n"
    # The cell's next line, pasted, keeps it; `none` forgets it.
    assert connect(laptop, known.ticket).returncode == 0
    assert proxy.asked() == [f"127.0.0.1:{known.port}"] * 6  # `connect` tries the door twice
    assert connect(laptop, known.ticket, "--proxy", "none").returncode == 0
    assert ssh(laptop, "echo straight").stdout == "straight\n"
    assert len(proxy.asked()) == 6


def test_a_password_is_in_the_hosts_own_file_and_nowhere_else(
    laptop: Laptop, known: Runtime, strict: Tinyproxy
) -> None:
    named = strict.url.replace("//", "//me@")
    done = laptop("connect", known.ticket, "--open", "none", "--proxy", named, stdin=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    assert ssh(laptop, "echo let through").stdout == "let through\n"
    held = [path for path in laptop.home.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert held == [laptop.ours / "hosts" / "colab.json"]
    assert held[0].stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://me:secret@proxy:3128", "can be seen by everybody on this machine"),
        ("http://me@proxy:3128", "the password of me at http://proxy:3128 is missing"),
    ],
)
def test_a_password_is_given_out_of_sight(laptop: Laptop, runtime: Runtime, url: str, says: str) -> None:
    done = connect(laptop, runtime.ticket, "--proxy", url)
    assert done.returncode == 2
    assert says in done.stderr
    assert "secret" not in done.stderr


def test_the_environments_proxy_is_used_while_it_is_there(laptop: Laptop, known: Runtime, strict: Tinyproxy) -> None:
    ticket = known.ticket.replace("127.0.0.1", SOMEWHERE)
    url = strict.url.replace("//", f"//me:{PASSWORD}@")
    done = connect(laptop, ticket, HTTPS_PROXY=url)
    assert done.returncode == 0, done.stderr
    assert ssh(laptop, "echo by ssh", ALL_PROXY=url).stdout == "by ssh\n"
    assert strict.asked() == [f"{SOMEWHERE}:{known.port}"] * 3
    assert PASSWORD not in (laptop.ours / "hosts" / "colab.json").read_text()
    assert ssh(laptop, "echo straight").stdout == "straight\n"
    assert len(strict.asked()) == 3


@pytest.mark.parametrize(
    ("host", "environment", "found"),
    [
        ("a.example.org", {"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "http://q:2"}, "http://p:1"),
        ("a.example.org", {"all_proxy": "q:2"}, "http://q:2"),
        ("a.example.org", {"HTTP_PROXY": "http://p:1"}, None),
        ("a.example.org", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other.org,.example.org"}, None),
        ("a.example.org", {"https_proxy": "http://p:1", "no_proxy": "*"}, None),
        ("a.example.org", {"https_proxy": "http://p:1", "no_proxy": "b.example.org"}, "http://p:1"),
        ("localhost", {"HTTPS_PROXY": "http://p:1"}, None),
        ("127.0.0.1", {"HTTPS_PROXY": "http://p:1"}, None),
        ("::1", {"ALL_PROXY": "http://p:1"}, None),
    ],
)
def test_whose_proxy_is_on_the_way(
    host: str, environment: dict[str, str], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = proxy_to(host, 443, "")
    assert (str(proxy) if proxy else None) == found
    assert str(proxy_to(host, 443, "http://kept:3")) == "http://kept:3"
    assert proxy_to(host, 443, "none") is None


@contextmanager
def edge(folder: Path, target: int) -> Iterator[int]:
    """A port that takes TLS off what comes and leads it to `target`, as a provider's edge does."""
    context = self_signed(folder)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client = context.wrap_socket(server.accept()[0], server_side=True)
                    inside = socket.create_connection(("127.0.0.1", target))
                    threading.Thread(target=join, args=(client, inside), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_websocket_in_tls_goes_through_a_proxy(
    laptop: Laptop, known: Runtime, proxy: Tinyproxy, tmp_path: Path
) -> None:
    bridge = Bridge("127.0.0.1", known.port)
    trusted = {"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
    with edge(tmp_path, bridge.port) as port:
        ticket = known.ticket.replace("ssh://", "wss://").replace(f":{known.port}/", f":{port}/")
        done = connect(laptop, ticket, "--proxy", proxy.url, **trusted)
        assert done.returncode == 0, done.stderr
        there_and_back = "".join(map(str, range(1_000_000)))
        assert ssh(laptop, "cat", there_and_back, **trusted).stdout == there_and_back
        assert proxy.asked() == [f"127.0.0.1:{port}"] * 3
    bridge.close()


def test_a_port_that_the_proxy_does_not_lead_to(tmp_path: Path) -> None:
    only_https = Tinyproxy(tmp_path, "ConnectPort 443")
    error = refusal(22, only_https.url)
    only_https.close()
    assert "does not let this laptop through to `127.0.0.1:22` (403)" in error.message
    assert "launch with the tunnel `ngrok-http`" in error.hint


def test_a_runtime_that_the_proxy_does_not_reach(proxy: Tinyproxy) -> None:
    port = free_port()
    assert f"does not reach `127.0.0.1:{port}`" in refusal(port, proxy.url).message


@pytest.mark.parametrize(
    ("login", "says", "hint"),
    [
        ("", "wants a name and a password (407)", "asks for the password and keeps it"),
        ("me:wrong@", "does not take the name and password it was given", "they are kept with the host"),
    ],
)
def test_a_login_that_the_proxy_does_not_take(strict: Tinyproxy, login: str, says: str, hint: str) -> None:
    error = refusal(22, strict.url.replace("//", f"//{login}"))
    assert says in error.message
    assert hint in error.hint
    assert "wrong" not in error.message + error.hint


def test_tls_that_somebody_opens_on_the_way(proxy: Tinyproxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = self_signed(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(2):
                client, _ = server.accept()
                with suppress(OSError), context.wrap_socket(client, server_side=True) as opened:
                    opened.recv(1)

        opener = threading.Thread(target=serve)
        opener.start()
        error = refusal(server.getsockname()[1], proxy.url, "wss")
        assert "shows a certificate that this laptop does not trust" in error.message
        assert error.hint.startswith("a company's proxy may open TLS: add its authority to the system's, or name")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        assert "does not speak WebSocket" in refusal(server.getsockname()[1], proxy.url, "wss").message
        opener.join()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nproxy-authenticate: Negotiate\r\n\r\n",
         "wants a login by NTLM or Negotiate (407), which colab-remote does not speak"),
        (b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Basic realm=x\r\n\r\n",
         "wants a name and a password (407)"),
        (b"HTTP/1.1 302 Sign in\r\nLocation: http://portal\r\n\r\n", "does not let this laptop through"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not speak as a proxy does, or hung up"),
        (b"", "does not speak as a proxy does, or hung up"),
    ],
)  # fmt: skip
def test_whatever_a_proxy_answers_is_a_sentence(answer: bytes, says: str) -> None:
    with saying(answer) as url:
        assert says in refusal(22, url).message


def test_a_proxy_that_hangs_up_on_ssh_is_told(laptop: Laptop, known: Runtime) -> None:
    with saying(b"HTTP/1.1 200 yes\r\n\r\n") as url:
        done = connect(laptop, known.ticket, "--proxy", url)
    assert done.returncode == 4
    assert "does not speak SSH, or hung up" in done.stderr
    assert "hint: the proxy on the way may let HTTPS alone through" in done.stderr


def test_the_runtimes_first_words_may_come_with_the_proxys_last() -> None:
    with saying(b"HTTP/1.1 200 yes\r\n\r\nSSH-2.0-OpenSSH_9.2\r\n") as url:
        stream = dial(at("ssh://root@a.example.org:22/x", url), 5)
        assert stream.recv(99) == b"SSH-2.0-OpenSSH_9.2\r\n"
        stream.close()


def test_a_proxy_that_is_silent_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert (
            "did not answer within" in refusal(22, f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.3).message
        )


def test_a_proxy_that_is_gone_is_told_apart_from_a_runtime() -> None:
    error = refusal(22, f"http://127.0.0.1:{free_port()}")
    assert "nobody listens at" in error.message
    assert error.hint.startswith("it is the proxy kept with the host; `connect` its ticket again with `--proxy")


@pytest.mark.parametrize("url", ["socks5://proxy:1080", "https://proxy", "http://", "http://a b:1", "http://proxy:x"])
def test_what_is_no_http_proxy_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="is no HTTP proxy"):
        parse_proxy(url)


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_password_can_be_kept(password: str) -> None:
    kept = parse_proxy(with_password("http://me@proxy:3128", password))
    assert kept.login == f"me:{password}"
    assert repr(kept) == repr(parse_proxy("http://me@proxy:3128"))
    assert str(kept) == "http://proxy:3128"


@given(st.text())
def test_whatever_is_named_is_a_proxy_or_refused(text: str) -> None:
    with suppress(Refused):
        assert parse_proxy(text).host
