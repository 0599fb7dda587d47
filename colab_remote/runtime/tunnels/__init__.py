"""Ways from the world to this machine's sshd: one file each, behind one small interface."""

from __future__ import annotations

import importlib
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from colab_remote.errors import Refused

# What a user may name. A tunnel's module has `open_tunnel(port, plan) -> Tunnel` and is imported when it is wanted.
TUNNELS = {
    "auto": "auto",
    "ngrok": "ngrok",
    "ngrok-http": "ngrok_http",
    "cloudflared": "cloudflared",
    "relay": "relay",
    "direct": "direct",
}
RELAY_SHAPE = "for example: --tunnel relay --relay me@vps.example.org:22#SHA256:..."
RELAY_FILE = "relay_key"  # in the state folder: what the relay lets in
NGROK = ("auto", "ngrok", "ngrok-http")  # those that need its token


@dataclass(frozen=True, slots=True)
class Address:
    """Where the laptop finds sshd: the ticket's scheme, host and port (None where the scheme has one).

    `tunnel` names the way, `note` is a line about it for the card, may be empty. `via` is the ticket's.
    """

    scheme: str
    host: str
    port: int | None
    tunnel: str
    note: str = ""
    via: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tunnel may need: the state folder, the provider's token and region, sshd's own address, the host's name.

    `relay` is `USER@HOST[:PORT]#SHA256:...` of the machine to go through. `begun` is called once the tunnel's process
    runs, before it can be reached.
    """

    state: Path
    token: str = field(repr=False)
    region: str | None
    bind_host: str
    name: str = ""
    relay: str = ""
    begun: Callable[[], None] = lambda: None


class Tunnel(Protocol):
    """An open way in."""

    @property
    def address(self) -> Address:
        """Where it leads from; may change while it lives."""

    def alive(self) -> bool:
        """Whether it still carries connections."""

    def close(self) -> None:
        """End it."""


def open_tunnel(name: str, port: int, plan: Plan) -> Tunnel:
    """Open the tunnel called `name` to sshd's `port`. Raises ProviderRefused and other ColabRemoteErrors."""
    module = importlib.import_module(f"colab_remote.runtime.tunnels.{TUNNELS[name]}")
    opened: Tunnel = module.open_tunnel(port, plan)
    return opened


def web_address(url: str, tunnel: str, note: str) -> Address:
    """Where a provider's HTTP endpoint can be reached. What a provider says is data: raises ValueError."""
    web = re.fullmatch(r"https://([A-Za-z0-9][A-Za-z0-9.-]*)(?::([0-9]{1,5}))?/?", url)
    if web:
        return Address("wss", web[1], int(web[2]) if web[2] else None, tunnel, note)
    local = re.fullmatch(r"http://127\.0\.0\.1:([0-9]{1,5})/?", url)
    if local:
        return Address("ws", "127.0.0.1", int(local[1]), tunnel, note)
    raise ValueError(f"{url!r} is no address of a tunnel")


def free_port(address: str = "127.0.0.1") -> int:
    """A port of `address` that nobody listens on. Raises Refused where that is no address of this machine."""
    # RACE: somebody may take it before it is used; whoever wanted it says so, and launch is run again.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise Refused(f"`{address}` is no address of this machine: {error.strerror}", "see `ip address`") from None
        return int(probe.getsockname()[1])


def from_here(host: str) -> str:
    """The address under which this machine reaches what listens on `host`: every address includes loopback."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
