"""Ways from the world to this machine's sshd: one file each, behind one small interface."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

# What a user may name. A tunnel's module has `open_tunnel(port, plan) -> Tunnel` and is imported when it is wanted.
TUNNELS = {"auto": "auto", "ngrok": "ngrok", "ngrok-http": "ngrok_http", "relay": "relay", "direct": "direct"}
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

    `relay` is `USER@HOST[:PORT]#SHA256:...` of the machine to go through.
    """

    state: Path
    token: str = field(repr=False)
    region: str | None
    bind_host: str
    name: str = ""
    relay: str = ""


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


def from_here(host: str) -> str:
    """The address under which this machine reaches what listens on `host`: every address includes loopback."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
