"""Hosts on the laptop: get to know one, look at them, go there."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colab_remote.cli.output import output, reports, visible
from colab_remote.cli.tables import away, columns, duration, when
from colab_remote.cli.trailing import Trailing
from colab_remote.errors import Conflicts, Refused, Unsynced
from colab_remote.laptop.hosts import Host, all_hosts, choose_host, tunnel
from colab_remote.laptop.reach import reach
from colab_remote.ticket import parse_ticket

if TYPE_CHECKING:
    from colab_remote.laptop.line.state import LineState
    from colab_remote.laptop.machine import Machine
    from colab_remote.laptop.project import Project
    from colab_remote.laptop.survey import Sight

_EDITORS = ("code", "cursor", "windsurf")


@click.command()
@click.argument("ticket")
@click.option("--name", default="colab", show_default=True, help="What to call the host here.")
@click.option("-i", "key", type=click.Path(path_type=Path), help="The private key that the runtime lets in.")
@click.option("--replace", is_flag=True, help="Forget the old host of that name though it still answers.")
@click.option("--proxy", metavar="URL", help="The company's proxy on the way, kept with the host; `none` for none.")
@click.option("--open", "editor", type=click.Choice([*_EDITORS, "none"]), help="The editor to open there.")
@reports
def connect(ticket: str, name: str, key: Path | None, replace: bool, proxy: str | None, editor: str | None) -> None:
    """Know a runtime by its ticket, and let ssh and VS Code in.

    TICKET is the line in double quotes that the cell shows. On a terminal your editor opens on the runtime, where one
    is installed; `--open none` leaves it closed. A proxy in HTTPS_PROXY or ALL_PROXY is used as long as it is
    there; one named here, http://HOST:PORT or http://NAME@HOST:PORT, goes for editors too, which may know no variable.
    """
    from colab_remote.laptop.connect import connect as connect_host
    from colab_remote.laptop.keys import own_key

    named = _proxy(proxy)
    host, machine = connect_host(parse_ticket(ticket), name, key or own_key(), replace, output().timeout, named)
    tell_of(host, machine)
    _open_after_connect(host, editor)


def tell_of(host: Host, machine: Machine) -> None:
    """Say what a host is that was just connected, and what to do with it."""
    from colab_remote.laptop import client

    versions = [f"Python {_short(machine.python)}", f"torch {_short(machine.torch)}" if machine.torch else "no torch"]
    facts = " · ".join([machine.kind, *versions, "host key as on the ticket", away(machine.away)])
    lines = [
        f"{host.name}  {facts}",
        f"ssh {host.name}            works from here, and from scp, rsync, VS Code",
        "colab-remote train   in a project's folder: sync, train there, results come home",
    ]
    if not client.installed():
        lines[1] = "ssh                  is not installed here, and editors need it"
        output().say(f"hint: install it: {client.how_to_install()}")
    output().report({"host": host.name, "ticket": str(host.ticket), "machine": asdict(machine)}, map(visible, lines))


@click.command()
@reports
def list() -> None:
    """The hosts known here, and whether they answer."""
    from colab_remote.laptop.survey import survey

    hosts = all_hosts()
    if not hosts:
        output().say("no host is known here yet\n\nhint: run the cell that `colab-remote cell` prints, in Colab")
    sights = survey(hosts, output().timeout) if hosts else ()
    for sight in sights:
        if sight.why:
            output().say(visible(f"{sight.host.name}: {sight.why}"))
    rows = [("HOST", "STATE", "WHAT", "TUNNEL", "LINE", "LAST CONTACT")] if sights else []
    output().report({"hosts": [_sight(sight) for sight in sights]}, columns([*rows, *map(_row, sights)]))


@click.command(cls=Trailing)
@click.argument("host", required=False)
@click.pass_context
def ssh(context: click.Context, host: str | None) -> None:
    """The system's ssh, through the written config.

    Words after `--` are a command for the runtime: `colab-remote ssh colab -- nvidia-smi`.
    """
    from colab_remote.laptop.client import become_ssh

    become_ssh(choose_host(host).name, context.meta["trailing"])


@click.command()
@click.argument("path", required=False)
@click.option("--host", "name", help="The host; the only one where it is left out.")
@click.option("--editor", type=click.Choice(_EDITORS), help="The first one installed where it is left out.")
@click.option("--no-watch", is_flag=True, help="Sync the project once, and do not go on while the editor is there.")
@reports
def open(path: str | None, name: str | None, editor: str | None, no_watch: bool) -> None:
    """The editor on the runtime, in the project's folder there.

    A project is synced first, and kept in sync for as long as the editor is connected. Outside one it is the runtime's
    working directory. PATH is relative to either.
    """
    from colab_remote.laptop.editors import find_editor, link, no_editor, open_editor
    from colab_remote.laptop.project import find_project, remembered_host, work_folder

    project = find_project(Path.cwd())
    host = choose_host(name, remembered_host(project) if project else None)
    if project:
        _sync_for_editor(project, host, no_watch)
    folder = posixpath.normpath(posixpath.join(work_folder(host, project), path or ""))
    found = find_editor(editor)
    if found is None:
        raise no_editor(host.name, folder)
    open_editor(found, host.name, folder)
    address = link(found, host.name, folder)
    output().report(
        {"host": host.name, "editor": found.command, "link": address}, (f"{found.title} opens {visible(folder)}",)
    )


@click.command()
@click.argument("host")
@reports
def disconnect(host: str) -> None:
    """Forget a host: its config, pinned key and registry entry go."""
    from colab_remote.laptop.connect import disconnect as disconnect_host

    disconnect_host(host)
    output().report({"host": host}, ())
    until = "its VM ends or `colab-remote shutdown` is run there"
    output().say(f"`{host}` is forgotten here; its runtime goes on until {until}")


def _proxy(url: str | None) -> str | None:
    """The proxy named, with its password where it has a name: asked for, or where nobody watches a line of stdin."""
    from colab_remote.laptop.proxy import ENVIRONMENT, NONE, parse_proxy, with_password

    if url is None or url in (NONE, ENVIRONMENT):
        return url
    found = parse_proxy(url)
    if ":" in found.login:
        raise Refused(
            "a password on the command line can be seen by everybody on this machine",
            "leave it out: it is asked for, or read as a line of stdin where that is no terminal",
        )
    if not found.login:
        return url
    if sys.stdin.isatty():
        return with_password(url, click.prompt(f"password of {found.login} at {found}", hide_input=True, err=True))
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Refused(f"the password of {found.login} at {found} is missing", "give it as a line of stdin")
    return with_password(url, password)


def _sync_for_editor(project: Project, host: Host, once: bool) -> None:
    """Sync; what could not be synced is told, and the editor is the place to mend it."""
    from colab_remote.cli.syncing import bring_up_to_date
    from colab_remote.laptop.sync.beside import keep_beside, log_of

    with reach(host, output().timeout, output().say) as connection:
        try:
            bring_up_to_date(project, connection.open_agent(), host)
        except (Conflicts, Unsynced) as found:
            output().say(visible(f"{found.message}\n\nhint: {found.hint}"))
    if not once:
        keep_beside(project, host.name, output().timeout)
        output().say(f"watch    in sync while the editor is connected · {log_of(host.name)} tells")


def _open_after_connect(host: Host, editor: str | None) -> None:
    """Open the editor that was asked for; unasked, one that is there, where somebody watches."""
    from colab_remote.laptop.editors import find_editor, no_editor, open_editor

    if editor == "none" or (editor is None and (output().json or not sys.stdout.isatty())):
        return
    found = find_editor(editor)
    if found is None and editor is None:
        return
    if found is None:
        raise no_editor(host.name, host.ticket.workdir)
    output().say(f"Opening {found.title} on {visible(host.ticket.workdir)} ...")
    open_editor(found, host.name, host.ticket.workdir)


def _row(sight: Sight) -> Sequence[str]:
    machine = sight.machine
    state = f"up {duration(machine.uptime)}" if machine else sight.state
    jobs = f" · {machine.jobs} {'job' if machine.jobs == 1 else 'jobs'}" if machine and machine.jobs else ""
    what = f"{machine.kind if machine else sight.host.gpu}{jobs}"
    line = _warm(sight.line) if sight.line else "-"
    return (sight.host.name, state, what or "-", tunnel(sight.host.ticket), line, when(sight.contact))


def _sight(sight: Sight) -> dict[str, Any]:
    host = sight.host
    return {
        "name": host.name,
        "state": sight.state,
        "ticket": str(host.ticket),
        "tunnel": tunnel(host.ticket),
        "last_contact": sight.contact,
        "machine": asdict(sight.machine) if sight.machine else None,
        "line": sight.line._asdict() if sight.line else None,
    }


def _warm(line: LineState) -> str:
    return "no contact" if line.round_trip is None else f"warm {line.round_trip * 1000:.0f} ms"


def _short(version: str) -> str:
    """`2.11` of `2.11.0+cu128`."""
    return ".".join(version.split(".")[:2])
