"""Start a job on the runtime and see it through: run a command, train, bring outputs home."""

from __future__ import annotations

import posixpath
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from colab_remote.cli.following import Show, began, detached, ended, interruptible
from colab_remote.cli.output import output, reports, visible
from colab_remote.cli.starting import Wish, starts_a_job
from colab_remote.cli.syncing import bring_up_to_date
from colab_remote.cli.tables import amount
from colab_remote.cli.trailing import Trailing
from colab_remote.errors import Refused
from colab_remote.laptop.contact import Contact, contact
from colab_remote.laptop.conversation import Conversation
from colab_remote.laptop.history import Job
from colab_remote.laptop.hosts import Host, choose_host
from colab_remote.laptop.jobs import Order, follow, not_started, start
from colab_remote.laptop.outputs import Arrival, bring_home
from colab_remote.laptop.project import Project, find_project, remembered_host, require_project
from colab_remote.laptop.training import mirrored, send_checkpoint, set_up, train_command, work_folder

_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
_HOST = "The host; the project's, or the only one, where it is left out."


@click.command(cls=Trailing)
@click.argument("folder", required=False, type=_FOLDER)
@click.option("--no-sync", is_flag=True, help="Run on what the runtime has.")
@starts_a_job
@reports
@click.pass_context
def run(context: click.Context, folder: Path | None, no_sync: bool, wish: Wish) -> int:
    """Run a command on the runtime as a job, after a sync.

    The command stands after `--`. Several words reach it as they are: `run -- python3 -c "print('a b')"`. A single
    word is a line for the shell over there, as with ssh: `run -- "nvidia-smi | head -5"`. Outside a project nothing is
    synced, and the command runs in the runtime's working directory.
    """
    words = context.meta["trailing"]
    if not any(word.strip() for word in words):
        raise Refused("no command is given", "write it after `--`: colab-remote run -- nvidia-smi")
    project = find_project(folder or Path.cwd())
    host = choose_host(wish.host_name, remembered_host(project) if project else None)
    order = Order(
        command=words[0] if len(words) == 1 else shlex.join(words),
        folder=work_folder(host, project),
        stem=project.name if project else posixpath.basename(words[0].split()[0]),
        name=wish.name,
        project=project.id if project else "",
        environment=wish.environment,
    )
    with contact(host, output().timeout, output().say) as made:
        conversation = made.open_agent()
        if project and not no_sync:
            with not_started():
                bring_up_to_date(project, conversation, host)
        job = start(made, conversation, order, project.root if project else None)
        if wish.detach:
            return detached(job)
        began(job, wish.stop_on_interrupt)
        with interruptible(job, wish.stop_on_interrupt):
            return ended(follow(made, conversation, job, Show()))


@click.command(cls=Trailing)
@click.argument("folder", required=False, type=_FOLDER)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint at home.")
@starts_a_job
@reports
@click.pass_context
def train(context: click.Context, folder: Path | None, resume: bool, wish: Wish) -> int:
    """Train on the runtime, results come home.

    Syncs the project, runs its `setup` where the runtime has not seen it, starts its `train` command as a job, follows
    the log, and brings outputs home while it runs. Words after `--` are appended to the command.
    """
    project = require_project(folder or Path.cwd())
    host = choose_host(wish.host_name, remembered_host(project))
    with contact(host, output().timeout, output().say) as made:
        conversation = made.open_agent()
        with not_started():
            bring_up_to_date(project, conversation, host)
            checkpoint = _resumed(conversation, project, host) if resume else None
            command = train_command(project, context.meta["trailing"], checkpoint)
            if set_up(made, conversation, project, sys.stderr.buffer.write):
                output().say("setup    done")
        order = Order(
            command,
            work_folder(host, project),
            project.name,
            wish.name,
            kind="train",
            project=project.id,
            environment=wish.environment,
        )
        job = start(made, conversation, order, project.root)
        if wish.detach:
            return detached(job)
        began(job, wish.stop_on_interrupt)
        with interruptible(job, wish.stop_on_interrupt):
            return _see_through(made, conversation, project, job)


@click.command()
@click.argument("folder", required=False, type=_FOLDER)
@click.option("--host", "host_name", help=_HOST)
@reports
def pull(folder: Path | None, host_name: str | None) -> None:
    """Bring outputs home that are on the runtime."""
    project = require_project(folder or Path.cwd())
    host = choose_host(host_name, remembered_host(project))
    with contact(host, output().timeout, output().say) as made:
        arrivals = list(bring_home(made.open_agent(), project, work_folder(host, project)))
    lines = [f"home     {arrival.path}  {amount(arrival.size)}{_kept(arrival)}" for arrival in arrivals]
    output().report({"home": [asdict(arrival) for arrival in arrivals]}, map(visible, lines))
    if not arrivals:
        output().say("home     nothing new")


def _see_through(made: Contact, conversation: Conversation, project: Project, job: Job) -> int:
    """Follow the log and bring outputs home until both are complete."""
    arrivals: list[Arrival] = []
    shown = output()  # asked for here: the mirror's thread has no click context

    def tell(arrival: Arrival) -> None:
        arrivals.append(arrival)
        if shown.json:
            shown.report({"home": asdict(arrival)}, ())
        if arrival.checkpoint or arrival.kept:
            shown.say(visible(f"home     {arrival.path}  {amount(arrival.size)}{_kept(arrival)}"))

    with mirrored(made, project, job, tell, shown.say) as mirror:
        job = follow(made, conversation, job, Show())
        mirror.result()
    shown.say(visible(_summary(project, arrivals)))
    return ended(job)


def _resumed(conversation: Conversation, project: Project, host: Host) -> str:
    path = send_checkpoint(conversation, project, host)
    written = time.strftime("%H:%M:%S", time.localtime((project.root / path).stat().st_mtime))
    output().say(visible(f"resume   {path} ({written})"))
    return path


def _summary(project: Project, arrivals: Sequence[Arrival]) -> str:
    """What came home and is still there, the newest of each path counted once, the last checkpoint named."""
    latest = {arrival.path: arrival for arrival in arrivals if (project.root / arrival.path).exists()}
    if not latest:
        return "home     nothing: this job made no outputs"
    named = max(latest.values(), key=lambda arrival: (arrival.checkpoint, arrival.size))
    more = f"  and {len(latest) - 1} more" if len(latest) > 1 else ""
    return f"home     {named.path}  {amount(named.size)}{more}"


def _kept(arrival: Arrival) -> str:
    return f" · the older one is kept as {arrival.kept}" if arrival.kept else ""
