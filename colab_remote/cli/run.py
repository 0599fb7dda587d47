"""Run a command on the runtime as a job."""

from __future__ import annotations

import os
import posixpath
import shlex
from pathlib import Path

import click

from colab_remote.cli.following import began, detached, ended, interruptible
from colab_remote.cli.output import output, reports
from colab_remote.cli.show import Show
from colab_remote.cli.starting import Wish, starts_a_job
from colab_remote.cli.staying import need_terminal, stay
from colab_remote.cli.trailing import Trailing
from colab_remote.errors import Refused
from colab_remote.laptop.contact import contact
from colab_remote.laptop.hosts import choose_host
from colab_remote.laptop.jobs import Order, follow, not_started, start
from colab_remote.laptop.project import find_project, remembered_host, work_folder

_TERM = "xterm-256color"  # what most terminals are, or are like


@click.command(cls=Trailing)
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
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
    if not words or not words[0].strip():
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
            # Only here: a command outside a project does not wait for what syncs one.
            from colab_remote.cli.syncing import bring_up_to_date
            from colab_remote.laptop.pin import pin_of

            with not_started():
                pin = pin_of(project.root, bring_up_to_date(project, conversation, host).agreed.tree)
        job = start(made, conversation, order, project.root if project else None, pin)
        if wish.detach:
            return detached(job)
        began(job, wish.stop_on_interrupt)
        with interruptible(job, wish.stop_on_interrupt):
            return stay(made, job) if tty else ended(follow(made, conversation, job, Show()))
