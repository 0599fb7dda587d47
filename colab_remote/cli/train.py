"""Start a job on the runtime and see it through: run a command, train, bring outputs home."""

from __future__ import annotations

import os
import posixpath
import shlex
from dataclasses import asdict, replace
from pathlib import Path

import click

from colab_remote.cli.following import arrival_line, began, detached, ended, interruptible, see_through
from colab_remote.cli.legs import Leg, job_to_follow, once_back
from colab_remote.cli.metering import month_line, waiting_lines
from colab_remote.cli.output import output, reports, visible
from colab_remote.cli.show import Show
from colab_remote.cli.starting import HOST, Wish, starts_a_job
from colab_remote.cli.staying import need_terminal, stay
from colab_remote.cli.syncing import bring_up_to_date
from colab_remote.cli.trailing import Trailing
from colab_remote.errors import ContactLost, Refused, Unreachable
from colab_remote.laptop.awake import awake
from colab_remote.laptop.contact import contact
from colab_remote.laptop.history import Job
from colab_remote.laptop.hosts import choose_host
from colab_remote.laptop.jobs import Order, follow, not_started, start
from colab_remote.laptop.meter import Allowance, allowance
from colab_remote.laptop.outputs import bring_home
from colab_remote.laptop.pin import pin_of
from colab_remote.laptop.project import find_project, remembered_host, require_project
from colab_remote.laptop.training import work_folder

_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
_TERM = "xterm-256color"  # what most terminals are, or are like


@click.command(cls=Trailing)
@click.argument("folder", required=False, type=_FOLDER)
@click.option("--no-sync", is_flag=True, help="Run on what the runtime has.")
@click.option("--tty", is_flag=True, help="Give it a terminal: yours, until Ctrl-P Ctrl-Q leaves it running.")
@starts_a_job
@reports
@click.pass_context
def run(context: click.Context, folder: Path | None, no_sync: bool, tty: bool, wish: Wish) -> int:
    """Run a command on the runtime as a job, after a sync.

    The command stands after `--`. Several words reach it as they are: `run -- python3 -c "print('a b')"`. A single
    word is a line for the shell over there, as with ssh: `run -- "nvidia-smi | head -5"`. Outside a project nothing is
    synced, and the command runs in the runtime's working directory.
    """
    words = context.meta["trailing"]
    if not any(word.strip() for word in words):
        raise Refused("no command is given", "write it after `--`: colab-remote run -- nvidia-smi")
    if tty and not wish.detach:
        need_terminal()
    project = find_project(folder or Path.cwd())
    host = choose_host(wish.host_name, remembered_host(project) if project else None)
    order = Order(
        command=words[0] if len(words) == 1 else shlex.join(words),
        folder=work_folder(host, project),
        stem=project.name if project else posixpath.basename(words[0].split()[0]),
        name=wish.name,
        project=project.id if project else "",
        tty=tty,
        environment={"TERM": os.environ.get("TERM", _TERM), **wish.environment} if tty else wish.environment,
    )
    with contact(host, output().timeout, output().say) as made:
        conversation, pin = made.open_agent(), None
        if project and not no_sync:
            with not_started():
                pin = pin_of(project.root, bring_up_to_date(project, conversation, host).tree)
        job = start(made, conversation, order, project.root if project else None, pin)
        if wish.detach:
            return detached(job)
        began(job, wish.stop_on_interrupt)
        with interruptible(job, wish.stop_on_interrupt):
            return stay(made, job) if tty else ended(follow(made, conversation, job, Show()))


@click.command(cls=Trailing)
@click.argument("folder", required=False, type=_FOLDER)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint at home.")
@click.option("--keep-going", is_flag=True, help="Wait for a host that is lost to come back, and resume there.")
@starts_a_job
@reports
@click.pass_context
def train(context: click.Context, folder: Path | None, resume: bool, keep_going: bool, wish: Wish) -> int:
    """Train on the runtime, results come home.

    Syncs the project, runs its `setup` where the runtime has not seen it, starts its `train` command as a job, follows
    the log, and brings outputs home while it runs. Words after `--` are appended to the command.
    """
    if wish.detach and keep_going:
        raise click.UsageError("--detach and --keep-going exclude each other")
    project = require_project(folder or Path.cwd())
    host = choose_host(wish.host_name, remembered_host(project))
    leg = Leg(project, context.meta["trailing"], wish, anew=not resume)
    job: Job | None = None
    while True:
        try:
            with awake(), contact(host, output().timeout, output().say) as made:
                job = job_to_follow(made, leg, job)
                if wish.detach:
                    return detached(job)
                with interruptible(job, wish.stop_on_interrupt):
                    return see_through(made, project, job)
        except (Unreachable, ContactLost) as error:
            if not keep_going or job is None:
                raise
            host, leg = once_back(host, error), replace(leg, anew=False, lenient=True)


@click.command()
@click.argument("folder", required=False, type=_FOLDER)
@click.option("--host", "host_name", help=HOST)
@click.option("--force", is_flag=True, help="Also what is more than the month's budget has left.")
@reports
def pull(folder: Path | None, host_name: str | None, force: bool) -> None:
    """Bring outputs home that are on the runtime."""
    project = require_project(folder or Path.cwd())
    host = choose_host(host_name, remembered_host(project))
    with contact(host, output().timeout, output().say) as made:
        rest = Allowance() if force else allowance(project.budget, host)
        there = work_folder(host, project)
        arrivals = list(bring_home(made.open_agent(), project, there, everything=True, rest=rest))
    lines = [visible(arrival_line(arrival)) for arrival in arrivals]
    output().report({"home": [asdict(arrival) for arrival in arrivals], "waiting": rest.waiting}, lines)
    if not arrivals:
        output().say("home     nothing new")
    output().say("\n".join([*waiting_lines(rest, host), month_line(host, project.budget)]))
