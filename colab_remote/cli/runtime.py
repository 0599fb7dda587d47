"""The runtime's side from a shell: launch and shutdown."""

from __future__ import annotations

from pathlib import Path

import click

from colab_remote.cli.output import output, reports
from colab_remote.errors import Refused
from colab_remote.ticket import parse_ticket


@click.command()
@click.option(
    "--tunnel",
    default="auto",
    help="The way in: auto, ngrok, ngrok-http, cloudflared, relay, direct.",
    show_default=True,
)
@click.option("--name", default="colab", help="The host's name on the laptop.", show_default=True)
@click.option("--bind", help="Where sshd listens: ADDRESS[:PORT].", metavar="ADDRESS[:PORT]")
@click.option("--authorized-key", "keys", multiple=True, help="Who may log in: a key line, a file, or github:USER.")
@click.option("--workdir", default="/content", help="The runtime's working directory.", show_default=True)
@click.option("--state-dir", default="~/.colab-remote", help="Where it keeps its files.", show_default=True)
@click.option("--relay", default="", help="A machine of your own to go through.", metavar="USER@HOST[:PORT]#SHA256:...")
@click.option("--env", "names", multiple=True, help="A secret or variable that jobs may see.", metavar="NAME")
@click.option("--restart", is_flag=True, help="Replace what runs, even if it is as asked for.")
@reports
def launch(
    tunnel: str,
    name: str,
    bind: str | None,
    keys: tuple[str, ...],
    workdir: str,
    state_dir: str,
    relay: str,
    names: tuple[str, ...],
    restart: bool,
) -> None:
    """Make this machine a runtime: start sshd and a tunnel, print the ticket.

    Any Linux machine, root or not. It returns once the runtime can be reached, and leaves sshd and the tunnel running.
    """
    from colab_remote import runtime
    from colab_remote.runtime.card import plain, rule
    from colab_remote.runtime.wanted import want

    where = _address(bind) if bind else ("127.0.0.1", 0)
    wanted = want(
        tunnel=tunnel,
        name=name,
        token=None,
        keys=keys,
        workdir=workdir,
        state=state_dir,
        relay=relay,
        env=names,
        bind=where,
    )
    if rule():
        output().say(rule())
    running = runtime.start(wanted, restart)
    for line in running.said:
        output().say(line)
    ticket = parse_ticket(running.ticket)
    document = {
        "ticket": running.ticket,
        "host": ticket.host,
        "port": ticket.port,
        "user": ticket.user,
        "fingerprint": ticket.fingerprint,
        "workdir": ticket.workdir,
        "tunnel": running.tunnel,
        "pid": running.pid,
        "ssh_config": running.ssh_config,
    }
    output().report(document, [plain(running)])


@click.command()
@click.option("--state-dir", default="~/.colab-remote", help="Where `launch` keeps its files.", show_default=True)
@reports
def shutdown(state_dir: str) -> None:
    """Stop what `launch` started here.

    sshd, its sessions and the tunnel end; jobs go on.
    """
    from colab_remote import runtime

    stopped = runtime.shutdown(Path(state_dir).expanduser().absolute())
    output().report({"stopped": stopped}, ["stopped" if stopped else "nothing was running"])


def _address(bind: str) -> tuple[str, int]:
    host, colon, port = bind.rpartition(":") if bind.count(":") == 1 or "]:" in bind else (bind, "", "")
    if not colon:
        return bind.strip("[]"), 0
    if not port.isdigit() or int(port) > 65535:
        raise Refused(f"`{bind}` is no ADDRESS[:PORT]", "for example: --bind 192.0.2.7:2222")
    return host.strip("[]"), int(port)
