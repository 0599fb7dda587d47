"""Come back to a job that runs."""

from __future__ import annotations

import shutil

import click

from colab_remote.cli.choosing import caught_up, chosen_job
from colab_remote.cli.following import ended, interruptible
from colab_remote.cli.homecoming import see_through
from colab_remote.cli.output import output, reports
from colab_remote.cli.show import Show
from colab_remote.cli.staying import stay
from colab_remote.laptop.contact import Contact, contact
from colab_remote.laptop.history import Job, home_of, root_of
from colab_remote.laptop.hosts import load_host
from colab_remote.laptop.jobs import follow
from colab_remote.laptop.logcopy import show_log, tail
from colab_remote.laptop.project import load_project


@click.command()
@click.argument("job", required=False)
@reports
def attach(job: str | None) -> int:
    """Be at a job that runs: its log, and its terminal where it has one.

    JOB is a name, an id or the beginning of one; the latest where it is left out. A training's outputs come home
    meanwhile, as with `train`. At the terminal of a job that `run --tty` started, Ctrl-P Ctrl-Q leaves it running, as
    with docker; every other key is the job's.
    """
    found = caught_up(chosen_job(job))
    begin, show = tail(home_of(found), shutil.get_terminal_size().lines - 1), Show()
    if found.over or not found.tty:
        begin = show_log(home_of(found), begin, show)
    if found.over:
        return ended(found)
    with contact(load_host(found.host), output().timeout, output().say) as made, interruptible(found):
        return stay(made, found, begin) if found.tty else _followed(made, found, show, begin)


def _followed(made: Contact, job: Job, show: Show, begin: int) -> int:
    root = root_of(job)
    if job.kind == "train" and root:
        return see_through(made, load_project(root), job, begin)
    return ended(follow(made, None, job, show, begin))
