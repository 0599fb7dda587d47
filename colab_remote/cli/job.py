"""One job: look at its log, end it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from colab_remote.both.jobrecord import GRACE
from colab_remote.cli.choosing import caught_up, chosen_job
from colab_remote.cli.following import Timed, ended, interruptible
from colab_remote.cli.homecoming import see_through
from colab_remote.cli.moments import moment
from colab_remote.cli.output import output, reports
from colab_remote.cli.show import Show
from colab_remote.cli.tables import columns
from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.laptop.contact import contact
from colab_remote.laptop.history import Job, all_known, home_of, root_of
from colab_remote.laptop.hosts import load_host
from colab_remote.laptop.jobs import follow
from colab_remote.laptop.jobs import stop as stop_job
from colab_remote.laptop.logcopy import Clock, show_log, tail
from colab_remote.laptop.logcopy import since as written_since
from colab_remote.laptop.project import load_project
from colab_remote.laptop.reach import reach


@click.command()
@click.argument("job", required=False)
@click.option("-f", "--follow", "on", is_flag=True, help="Until the job ends, with its exit code.")
@click.option("-n", "lines", type=click.IntRange(min=0), help="Only the last lines.")
@click.option("--since", metavar="T", callback=moment, help="Only what came since: `10m`, or a time such as 12:41.")
@click.option("--timestamps", "timed", is_flag=True, help="When each line began to be written, before it.")
@reports
def logs(job: str | None, on: bool, lines: int | None, since: float | None, timed: bool) -> int:
    """A job's log, as it comes from the job.

    JOB is a name, an id or the beginning of one; the latest where it is left out.
    """
    chosen = chosen_job(job)
    home = home_of(chosen)
    if not chosen.over or not _whole(chosen, home):
        chosen = caught_up(chosen)
    begin = max(0 if lines is None else tail(home, lines), 0 if since is None else written_since(home, since))
    show = Timed(Show(), Clock(home), begin) if timed else Show()
    begin = show_log(home, begin, show)
    if not on:
        return 0
    if not chosen.over:
        with contact(load_host(chosen.host), output().timeout, output().say) as made, interruptible(chosen):
            root = root_of(chosen) if chosen.kind == "train" and not timed else None
            if root:  # what the training made comes home too, as `train` itself would have seen to
                return see_through(made, load_project(root), chosen, begin)
            chosen = follow(made, None, chosen, show, begin)
    return ended(chosen)


@click.command()
@click.argument("job", required=False)
@click.option("--grace", type=click.FloatRange(min=0), default=GRACE, show_default=True, help="Seconds before SIGKILL.")
@reports
def stop(job: str | None, grace: float) -> None:
    """End a job: SIGTERM, a while to save what it has, SIGKILL.

    JOB is a name, an id or the beginning of one; the latest where it is left out. All its processes end with it,
    but those that have left its session, as `setsid` does.
    """
    ours = {each.id for each in all_known()}
    if job is None and not ours:
        raise Refused("no job of this laptop is known", "name the one to stop: `colab-remote jobs` lists them")
    chosen = chosen_job(job)
    if job and chosen.id not in ours and job not in (chosen.id, chosen.name):
        raise Refused(
            f"`{job}` is the beginning of `{chosen.name}`, which another laptop started",
            f"`colab-remote stop {chosen.id}` ends it",
        )
    if not chosen.over:
        with reach(load_host(chosen.host), output().timeout, output().say) as reached:
            chosen = stop_job(reached.open_agent(), chosen, grace)
    if not chosen.over:
        raise ColabRemoteError(f"`{chosen.name}` does not end", "its processes may wait for a device; `jobs` shows it")
    output().report({"job": asdict(chosen)}, columns([(chosen.name, chosen.state)]))


def _whole(job: Job, home: Path) -> bool:
    try:
        return (home / "log").stat().st_size >= job.log_bytes
    except FileNotFoundError:
        return False
