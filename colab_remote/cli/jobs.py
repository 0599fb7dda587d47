"""Jobs that are there: list them, look at a log, stop one."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path

import click

from colab_remote.both.jobrecord import GRACE, asked_at
from colab_remote.cli.choosing import caught_up, chosen_job
from colab_remote.cli.following import Timed, ended, interruptible, see_through
from colab_remote.cli.moments import moment
from colab_remote.cli.output import output, reports
from colab_remote.cli.show import Show
from colab_remote.cli.tables import columns, duration, when
from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.laptop.contact import contact
from colab_remote.laptop.history import Job, all_known, home_of, root_of
from colab_remote.laptop.home import Home
from colab_remote.laptop.hosts import all_hosts, load_host
from colab_remote.laptop.jobs import follow, listed
from colab_remote.laptop.jobs import stop as stop_job
from colab_remote.laptop.logcopy import Clock, read_log, tail
from colab_remote.laptop.logcopy import since as written_since
from colab_remote.laptop.project import load_project
from colab_remote.laptop.reach import reach


@click.command()
@click.option("--host", "host_name", help="Only this host's jobs.")
@reports
def jobs(host_name: str | None) -> None:
    """The jobs of all hosts, and how they are."""
    found, silent = listed([load_host(host_name)] if host_name else all_hosts(), output().timeout)
    if not host_name:
        # Jobs of hosts that were forgotten here are part of the story too.
        here = {job.id for job in found}
        found = sorted([*found, *(job for job in all_known() if job.id not in here)], key=lambda job: job.id)
    for name in silent:
        output().say(f"`{name}` does not answer; what is known here of its jobs may be old")
    names = {job.id: job.name for job in found}
    latest = {job.run: job.id for job in found}
    # A run's legs stand together, the run whose last leg is the newest first.
    shown = sorted(found, key=lambda job: (latest[job.run], job.id), reverse=True)
    rows = [("JOB", "HOST", "STATE", "STARTED", "TOOK", "AT HOME", "COMMAND"), *(_row(job, names) for job in shown)]
    output().report({"jobs": [asdict(job) for job in found]}, columns(rows) if found else ())


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
    for piece in read_log(home, begin):
        show(piece)
    if not on:
        return 0
    if not chosen.over:
        with contact(load_host(chosen.host), output().timeout, output().say) as made, interruptible(chosen):
            root = root_of(chosen) if chosen.kind == "train" and not timed else None
            if root:  # what the training made comes home too, as `train` itself would have seen to
                return see_through(made, load_project(root), chosen)
            chosen = follow(made, None, chosen, show)
    return ended(chosen)


@click.command()
@click.argument("job", required=False)
@click.option("--grace", type=click.FloatRange(min=0), default=GRACE, show_default=True, help="Seconds before SIGKILL.")
@reports
def stop(job: str | None, grace: float) -> None:
    """End a job: SIGTERM, a while to save what it has, SIGKILL.

    JOB is a name, an id or the beginning of one; the latest where it is left out. All its processes end with it.
    """
    ours = {each.id for each in all_known()}
    if job is None and not ours:
        raise Refused("no job of this laptop is known", "name the one to stop: `colab-remote jobs` lists them")
    chosen = chosen_job(job)
    if chosen.id not in ours and job not in (chosen.id, chosen.name):
        raise Refused(
            f"`{job}` is the beginning of `{chosen.name}`, which another laptop started",
            f"`colab-remote stop {chosen.id}` ends it",
        )
    if not chosen.over:
        with reach(load_host(chosen.host), output().timeout, output().say) as reached:
            chosen = stop_job(reached.open_agent(), chosen, grace)
    if not chosen.over:
        raise ColabRemoteError(f"`{chosen.name}` does not end", "its processes may wait for a device; `jobs` shows it")
    output().report({"job": asdict(chosen)}, (f"{chosen.name}   {chosen.state}",))


def _whole(job: Job, home: Path) -> bool:
    try:
        return (home / "log").stat().st_size >= job.log_bytes
    except FileNotFoundError:
        return False


def _row(job: Job, names: Mapping[str, str]) -> tuple[str, ...]:
    leg = f" (leg {job.leg} of {names.get(job.first, job.first)})" if job.first else ""
    state = f"{job.state} {job.exit_code}" if job.state == "failed" else job.state
    took = duration(job.seconds) if job.seconds >= 60 else f"{job.seconds:.0f} s"
    started = when(asked_at(job.id), time.time())
    return f"{job.name}{leg}", job.host, state, started, took, _at_home(job), job.command


def _at_home(job: Job) -> str:
    """The newest checkpoint of a training that is at home, and when it came."""
    root = root_of(job) if job.kind == "train" else None
    newest = _home_at(root).newest_of([job.id]) if root else None
    return f"{posixpath.basename(newest.path)}, {when(newest.arrived)}" if newest else "-"


@cache
def _home_at(root: Path) -> Home:
    return Home(load_project(root))
