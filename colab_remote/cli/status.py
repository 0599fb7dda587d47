"""How one host is, once or again and again."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

import click

from colab_remote.cli.metering import month
from colab_remote.cli.output import output, reports
from colab_remote.cli.tables import amount, away, checkpoint_line, columns, duration, when
from colab_remote.errors import ColabRemoteError, Unreachable
from colab_remote.laptop.history import all_known, root_of
from colab_remote.laptop.hosts import Host, choose_host, last_contact, tunnel
from colab_remote.laptop.line.state import LineState, ask_line
from colab_remote.laptop.machine import Machine, Usage, ask_machine
from colab_remote.laptop.meter import metered
from colab_remote.laptop.reach import reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from colab_remote.laptop.home import Checkpoint

_PAUSE = 2.0  # seconds between two looks of --watch
# Colab sees no job: one that nobody looks at is idle to it.
_KEEPS = "what keeps a VM is its waiting cell, or the open tab: Colab takes a detached job for idleness"


@click.command()
@click.argument("host", required=False)
@click.option("--watch", is_flag=True, help="Go on looking until Ctrl-C.")
@reports
def status(host: str | None, watch: bool) -> None:
    """GPU, memory, disk, uptime and jobs of one host."""
    chosen = choose_host(host)
    if watch:
        _watch(chosen)
    with reach(chosen, output().timeout, output().say) as connection:
        machine = ask_machine(connection.open_agent(), chosen.ticket.workdir)
    output().report(*_report(chosen, machine))


def _watch(host: Host) -> NoReturn:
    with _screen() as show:
        while True:
            try:
                with reach(host, output().timeout) as connection:
                    show(*_report(host, ask_machine(connection.open_agent(), host.ticket.workdir)))
            except Unreachable as error:
                show(*_report(host, None, error))
            time.sleep(_PAUSE)


@contextmanager
def _screen() -> Iterator[Callable[[dict[str, Any], list[str]], None]]:
    """What to call with each report: on a terminal it takes the place of the one before."""
    if output().json or not sys.stdout.isatty():
        yield output().report
        return
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        yield lambda facts, lines: live.update(Text("\n".join(lines)), refresh=True)


def _report(
    host: Host, machine: Machine | None, silence: ColabRemoteError | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The document and the table's lines, of a host that answers, or is silent."""
    line, traffic, newest = ask_line(host.name), metered(host.name), _newest_at_home(host)
    far = f" · {away(machine.away)}" if machine else ""
    rows = [
        ("host", f"{host.name} · {tunnel(host.ticket)}{far}"),
        *(_machine_rows(machine, host.ticket.workdir) if machine else [("silent", silence.message if silence else "")]),
        ("contact", when(last_contact(host.name))),
        ("line", _line(line) if line else "none: each command connects by itself"),
        *([("", f"its log is {line.log}")] if line else []),
        ("month", f"{amount(traffic.up)} up, {amount(traffic.down)} down · {month(host)}"),
        ("home", checkpoint_line(newest) if newest else "no checkpoint of this host's trainings"),
        *([("", _KEEPS)] if machine and machine.jobs else []),
    ]
    facts = {"line": line._asdict() if line else None, "month": traffic._asdict(), "contact": last_contact(host.name)}
    facts |= {"checkpoint": asdict(newest) if newest else None}
    return {"host": host.name, "machine": asdict(machine) if machine else None, **facts}, columns(rows)


def _machine_rows(machine: Machine, workdir: str) -> list[tuple[str, str]]:
    gpus = [
        ("gpu", f"{gpu.name} · {gpu.load:.0%} · {_used(gpu.memory)}{f' · {gpu.degrees:.0f} °C' if gpu.degrees else ''}")
        for gpu in machine.gpus
    ]
    return [
        *(gpus or [("gpu", "none")]),
        ("cpu", f"{machine.cpus} cores · load {machine.load:.1f}"),
        ("memory", _used(machine.memory)),
        ("disk", f"{_used(machine.disk)} · {workdir}"),
        ("uptime", duration(machine.uptime)),
        ("jobs", f"{machine.jobs} running"),
        ("python", f"{machine.python} · torch {machine.torch or 'not installed'}"),
    ]


def _newest_at_home(host: Host) -> Checkpoint | None:
    """The newest checkpoint that came home from this host's latest training."""
    trainings = [job for job in all_known() if job.host == host.name and job.kind == "train"]
    root = root_of(trainings[-1]) if trainings else None
    if root is None:
        return None
    # Only here: a host without trainings need not wait for the import.
    from colab_remote.laptop.home import Home
    from colab_remote.laptop.project import load_project

    return Home(load_project(root)).newest_of({job.id for job in trainings if job.run == trainings[-1].run})


def _line(line: LineState) -> str:
    """Since when, how far, how much, for whom."""
    users = [_command(pid) for pid in line.users if pid != os.getpid()]
    far = "no contact" if line.round_trip is None else away(line.round_trip)
    traffic = f"{amount(line.up)} up, {amount(line.down)} down"
    return f"since {when(line.since)} · {far} · {traffic} · used by {', '.join(users) or 'nobody else'}"


def _command(pid: int) -> str:
    """What a process of ours is doing: its command, which its arguments name."""
    import psutil

    from colab_remote.cli import COMMANDS

    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        words = []
    return f"{next((word for word in words if word in COMMANDS), 'process')} ({pid})"


def _used(usage: Usage) -> str:
    return f"{amount(usage.used)} of {amount(usage.total)}"
