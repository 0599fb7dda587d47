"""The ways from a laptop to a runtime, one for each kind of tunnel, each with a network in it that can be cut."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bad_network import BadNetwork
from google_colab import Google
from sides import Laptop, Runtime, free_port, started_sshd, wait_for_port

from colab_remote.runtime.bridge import Bridge
from colab_remote.ticket import Ticket, parse_ticket

PROGRAMS = Path(sys.prefix, "colab-cli", "bin")  # where scripts/test puts Google's CLI
NO_PROGRAMS = "Google's CLI needs Python 3.12: see scripts/test"

Way = Callable[[Laptop, Runtime, Path, float | None], AbstractContextManager[BadNetwork]]


@contextmanager
def directly(laptop: Laptop, runtime: Runtime, folder: Path, rate: float | None) -> Iterator[BadNetwork]:
    """As `direct` and `ngrok` go: SSH as it is."""
    with BadNetwork(("127.0.0.1", runtime.port), rate=rate) as network:
        _connected(laptop, runtime.ticket.replace(f":{runtime.port}/", f":{network.port}/"))
        yield network


@contextmanager
def by_http(laptop: Laptop, runtime: Runtime, folder: Path, rate: float | None) -> Iterator[BadNetwork]:
    """As `ngrok-http` and `cloudflared` go: SSH in WebSocket frames."""
    bridge = Bridge("127.0.0.1", runtime.port)
    with BadNetwork(("127.0.0.1", bridge.port), rate=rate) as network:
        ticket = runtime.ticket.replace("ssh://", "ws://").replace(f":{runtime.port}/", f":{network.port}/")
        _connected(laptop, ticket)
        yield network
    bridge.close()


@contextmanager
def by_relay(laptop: Laptop, runtime: Runtime, folder: Path, rate: float | None) -> Iterator[BadNetwork]:
    """As `relay` goes: the runtime reaches out to a second sshd, through which the laptop jumps."""
    with started_sshd(folder / "relay") as relay, BadNetwork(("127.0.0.1", relay.port), rate=rate) as network:
        own, there = laptop.home / ".ssh", free_port()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(own / "id_own")], check=True)
        relay.admit((own / "id_own.pub").read_text())
        host_key = (folder / "relay" / "host_key.pub").read_text()
        (own / "known").write_text(f"[127.0.0.1]:{network.port} {host_key}[127.0.0.1]:{relay.port} {host_key}")
        (own / "config").write_text(f"IdentityFile {own / 'id_own'}\nUserKnownHostsFile {own / 'known'}\n")
        reach = ["ssh", "-F", str(own / "config"), "-N", "-R", f"localhost:{there}:127.0.0.1:{runtime.port}"]
        user = parse_ticket(runtime.ticket).user
        with subprocess.Popen([*reach, "-p", str(relay.port), f"{user}@127.0.0.1"], env=laptop.env) as reaching:
            wait_for_port(there)
            ticket = runtime.ticket.replace(f"127.0.0.1:{runtime.port}/", f"localhost:{there}/")
            _connected(laptop, ticket.replace("#", f"?via={user}@127.0.0.1:{network.port}#"))
            yield network
            reaching.kill()


@contextmanager
def by_google(laptop: Laptop, runtime: Runtime, folder: Path, rate: float | None) -> Iterator[BadNetwork]:
    """As `up` goes: through Google's own CLI, whose door lets in one."""
    (folder / "google").mkdir()
    google = Google(folder / "google", Path(sys.executable), dict(os.environ), runtime)
    laptop.env.update(google.laptop(laptop.home, PROGRAMS))
    with BadNetwork(("127.0.0.1", google.port), rate=rate) as network:
        google.front = network.port
        subprocess.run([PROGRAMS / "colab", "new", "-s", "colab"], env=laptop.env, check=True, capture_output=True)
        known = parse_ticket(runtime.ticket)
        _connected(laptop, str(Ticket("colab", "root", "colab", None, known.workdir, known.fingerprint)))
        yield network
        laptop.end_lines()
    google.close()


def _connected(laptop: Laptop, ticket: str) -> None:
    done = laptop("connect", ticket, "--open", "none")
    assert done.returncode == 0, done.stderr


WAYS: dict[str, Way] = {"direct": directly, "http": by_http, "relay": by_relay, "google": by_google}
