"""What the written configuration uses as ProxyCommand."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import click

from colab_remote.cli.output import output
from colab_remote.errors import Refused
from colab_remote.laptop.stdio import carry_stdio

_PATIENCE = 20.0  # seconds


@click.command()
@click.argument("target", metavar="HOST|URL")
def proxy(target: str) -> None:
    """The way to a host's sshd, on stdin and stdout.

    A `ProxyCommand` for hosts that ssh cannot dial by itself: `wss://NAME`, or a host that is known here.
    """
    from colab_remote.laptop.dial import dial_address

    stream = dial_address(*_address(target), output().timeout or _PATIENCE)
    carry_stdio(stream)


def _address(target: str) -> tuple[str, str, int | None]:
    """Scheme, host and port. Raises Refused."""
    if "://" not in target:
        from colab_remote.laptop.hosts import load_host

        ticket = load_host(target).ticket
        return ticket.scheme, ticket.host, ticket.port
    try:
        parts = urlsplit(target)
        address = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        address = "", "", None
    if address[0] not in ("ws", "wss", "ssh") or not re.fullmatch(r"[A-Za-z0-9.:-]+", address[1]):
        raise Refused(f"`{target}` is no way to a runtime", "name a host, or wss://NAME")
    return address
