"""The jobs that are there."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from colab_remote.both.jobrecord import asked_at
from colab_remote.cli.output import output, reports
from colab_remote.cli.tables import columns, duration, when
from colab_remote.laptop.history import Job, all_known, root_of
from colab_remote.laptop.hosts import all_hosts, load_host
from colab_remote.laptop.listing import listed

if TYPE_CHECKING:
    from colab_remote.laptop.home import Home


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
    # Only here: most have no training to list, and would wait for the import.
    from colab_remote.laptop.home import Home
    from colab_remote.laptop.project import load_project

    return Home(load_project(root))
