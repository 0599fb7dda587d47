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
from colab_remote.cli.following import ended, interruptible, see_through
from colab_remote.cli.output import output, reports
from colab_remote.cli.show import Show
from colab_remote.cli.tables import columns, duration, when
from colab_remote.errors import ColabRemoteError, Refused, Unreachable
from colab_remote.laptop.contact import contact
from colab_remote.laptop.history import Job, all_known, choose, home_of, root_of
from colab_remote.laptop.home import Home
from colab_remote.laptop.hosts import all_hosts, host_names, load_host
from colab_remote.laptop.jobs import catch_up, follow, listed
from colab_remote.laptop.jobs import stop as stop_job
from colab_remote.laptop.logcopy import read_log, tail
from colab_remote.laptop.project import find_project, load_project
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
@reports
def logs(job: str | None, on: bool, lines: int | None) -> int:
    """A job's log, as it comes from the job.

    JOB is a name, an id or the beginning of one; the latest where it is left out.
    """
    chosen = _chosen(job)
    home = home_of(chosen)
    if not chosen.over or not _whole(chosen, home):
        chosen = _caught_up(chosen)
    show = Show()
    for piece in read_log(home, 0 if lines is None else tail(home, lines)):
        show(piece)
    if not on:
        return 0
    if not chosen.over:
        with contact(load_host(chosen.host), output().timeout, output().say) as made, interruptible(chosen):
            root = root_of(chosen) if chosen.kind == "train" else None
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
    if job is None and not all_known():
        raise Refused("no job of this laptop is known", "name the one to stop: `colab-remote jobs` lists them")
    chosen = _chosen(job)
    if not chosen.over:
        with reach(load_host(chosen.host), output().timeout, output().say) as reached:
            chosen = stop_job(reached.open_agent(), chosen, grace)
    if not chosen.over:
        raise ColabRemoteError(f"`{chosen.name}` does not end", "its processes may wait for a device; `jobs` shows it")
    output().report({"job": asdict(chosen)}, (f"{chosen.name}   {chosen.state}",))


def _chosen(word: str | None) -> Job:
    """The job that a command means: one known at home, of this project first, else one that a host tells of."""
    known = all_known()
    project = find_project(Path.cwd())
    here = [job for job in known if project and job.project == project.id]
    if word is None and here:
        return choose(None, here)
    if word is None and known:
        return choose(None, known)
    try:
        return choose(word, known)
    except ColabRemoteError:
        found, silent = listed(all_hosts(), output().timeout)
        if silent and not found:
            raise
        return choose(word, found)


def _caught_up(job: Job) -> Job:
    """The job with its log at home, as far as its host can be asked."""
    if job.host not in host_names():
        output().say(f"`{job.host}` is not known here any more; this is what came home")
        return job
    try:
        with reach(load_host(job.host), output().timeout, output().say) as reached:
            return catch_up(reached.open_agent(), job)
    except Unreachable as error:
        output().say(f"{error.message}; this is what came home")
        return job


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
