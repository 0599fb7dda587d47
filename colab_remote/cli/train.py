"""Train on the runtime, and bring outputs home."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import click

from colab_remote.cli.following import detached, interruptible
from colab_remote.cli.homecoming import arrival_line, keep_pulling, see_through, unplaced
from colab_remote.cli.legs import Leg, job_to_follow, once_back
from colab_remote.cli.metering import month_line, waiting_lines
from colab_remote.cli.output import output, reports, visible
from colab_remote.cli.starting import HOST, Wish, starts_a_job
from colab_remote.cli.trailing import Trailing
from colab_remote.errors import ContactLost, Unreachable
from colab_remote.laptop.awake import awake
from colab_remote.laptop.contact import contact
from colab_remote.laptop.history import Job, home_of
from colab_remote.laptop.home import Arrival, Unplaced
from colab_remote.laptop.hosts import choose_host
from colab_remote.laptop.logcopy import tail
from colab_remote.laptop.meter import Allowance, allowance
from colab_remote.laptop.outputs import bring_home
from colab_remote.laptop.project import remembered_host, require_project, work_folder

_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


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
                    return see_through(made, project, job, tail(home_of(job), 0))
        except (Unreachable, ContactLost) as error:
            if not keep_going or job is None:
                raise
            host, leg = once_back(host, error), replace(leg, anew=False, lenient=True)


@click.command()
@click.argument("folder", required=False, type=_FOLDER)
@click.option("--host", "host_name", help=HOST)
@click.option("--watch", is_flag=True, help="Go on as more are made, until Ctrl-C.")
@click.option("--force", is_flag=True, help="Also what is more than the month's budget has left.")
@reports
def pull(folder: Path | None, host_name: str | None, watch: bool, force: bool) -> None:
    """Bring outputs home that are on the runtime."""
    project = require_project(folder or Path.cwd())
    host = choose_host(host_name, remembered_host(project))
    with contact(host, output().timeout, output().say) as made:
        rest = Allowance() if force else allowance(project.budget, host)
        there, say = work_folder(host, project), output().say
        bring = partial(bring_home, project=project, folder=there, everything=True, rest=rest, say=say)
        if watch:
            keep_pulling(made, bring)
        coming = list(bring(made.open_agent()))
    arrivals = [arrival for arrival in coming if isinstance(arrival, Arrival)]
    stays = {each.path: each.reason for each in coming if isinstance(each, Unplaced)}
    lines = [visible(arrival_line(arrival)) for arrival in arrivals]
    if stays:
        output().say("\n".join(lines))
        raise unplaced(stays)
    output().report({"home": [asdict(arrival) for arrival in arrivals], "waiting": rest.waiting}, lines)
    if not arrivals:
        output().say("home     nothing new")
    output().say("\n".join([*waiting_lines(rest, host), month_line(host, project.budget)]))
