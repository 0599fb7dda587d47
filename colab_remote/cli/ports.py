"""Ports of the runtime, through the line."""

from __future__ import annotations

import threading
from functools import partial

import click

from colab_remote.cli.output import output
from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.laptop.forward import keep_reversed, lead_there, listen_here
from colab_remote.laptop.hosts import choose_host
from colab_remote.laptop.reach import reach


@click.command()
@click.argument("ports", nargs=-1, metavar="PORT[:LOCAL]...")
@click.option("--reverse", "back", multiple=True, metavar="PORT[:LOCAL]", help="A port of this laptop there.")
@click.option("--host", "name", help="The host; the only one where it is left out.")
def forward(ports: tuple[str, ...], back: tuple[str, ...], name: str | None) -> None:
    """Ports of the runtime on this laptop, until interrupted.

    `forward 6006` makes what listens at port 6006 over there answer at port 6006 here, `forward 6006:7000` at 7000.
    `--reverse 6006` is the other way round: what listens here answers over there. All ends are loopback: nobody else
    can connect.
    """
    pairs, reversed_pairs = ([_pair(text) for text in texts] for texts in (ports, back))
    if not pairs and not reversed_pairs:
        raise Refused("no port is named", "say which: colab-remote forward 6006")
    host = choose_host(name)
    failed: list[ColabRemoteError] = []
    ended = threading.Event()
    with reach(host, output().timeout, output().say) as reached:
        reached.open_agent().close()  # a host that does not answer is named before anybody connects
        for port, local in pairs:
            listener = listen_here(local)
            lead = partial(lead_there, listener, partial(reached.open_port, port), output().say)
            threading.Thread(target=lead, daemon=True).start()
            output().say(f"forward  localhost:{local} is port {port} of {host.name}")
        for port, local in reversed_pairs:
            hold = partial(keep_reversed, partial(reached.reverse, port, local), output().say, ended)
            threading.Thread(target=_noting, args=(hold, failed, ended), daemon=True).start()
            output().say(f"reverse  port {port} of {host.name} is localhost:{local}")
        ended.wait()
    raise failed[0]


def _noting(hold: partial[None], failed: list[ColabRemoteError], ended: threading.Event) -> None:
    try:
        hold()
    except ColabRemoteError as error:
        failed.append(error)
        ended.set()


def _pair(text: str) -> tuple[int, int]:
    first, _, second = text.partition(":")
    try:
        port, local = int(first), int(second or first)
    except ValueError:
        port = local = 0
    if not (0 < port < 65536 and 0 < local < 65536):
        raise Refused(f"`{text}` is no port", "write PORT, or PORT:LOCAL, each from 1 to 65535")
    return port, local
