"""What the written configuration uses as ProxyCommand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import click

from colab_remote.cli.output import output
from colab_remote.errors import ColabRemoteError, Refused, Unreachable
from colab_remote.laptop.conversation import Stream
from colab_remote.laptop.dial import PATIENCE, dial_address
from colab_remote.laptop.hosts import load_host, proxy_kept
from colab_remote.laptop.stdio import carry_stdio


@click.command()
@click.argument("target", metavar="HOST|URL")
def proxy(target: str) -> None:
    """The way to a host's sshd, on stdin and stdout.

    For a `ProxyCommand`. HOST goes over the host's line, so that ssh shares the one connection that a door may allow;
    `wss://NAME` and `ssh://NAME:PORT` are dialled, through the company's proxy that is kept with the host there.
    """
    if "://" in target:
        address = _address(target)
        _carry(dial_address(*address, output().timeout or PATIENCE, proxy_kept(*address)), address[1])
        return
    with _over_the_line(target) as stream:
        _carry(stream, target)


def _carry(stream: Stream, name: str) -> None:
    try:
        carry_stdio(stream)
    except OSError:
        raise Unreachable(
            f"contact with `{name}` was lost, and this session with it",
            "once the network is back: ssh again; jobs have gone on, `colab-remote logs -f` follows them",
        ) from None


@contextmanager
def _over_the_line(name: str) -> Iterator[Stream]:
    from colab_remote.laptop.reach import reach

    with reach(load_host(name), output().timeout) as reached:
        agent = reached.open_agent()
        port = int(agent.ask("sshd").result["port"])
        agent.close()
        if not port:
            raise ColabRemoteError(f"`{name}` does not say where its sshd listens", "connect without `proxy`")
        yield reached.open_port(port)


def _address(target: str) -> tuple[str, str, int | None]:
    """Scheme, host and port. Raises Refused."""
    try:
        parts = urlsplit(target)
        address = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        address = "", "", None
    if address[0] not in ("ws", "wss", "ssh") or not re.fullmatch(r"[A-Za-z0-9.:-]+", address[1]):
        raise Refused(f"`{target}` is no way to a runtime", "name a host, or wss://NAME")
    return address
