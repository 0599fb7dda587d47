"""How jobs look in a list."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from colab_remote.both.jobrecord import asked_at
from colab_remote.cli.tables import columns, duration, when
from colab_remote.laptop.history import Job, root_of

if TYPE_CHECKING:
    from colab_remote.laptop.home import Home

_HEADS = ("JOB", "HOST", "STATE", "STARTED", "TOOK", "AT HOME", "COMMAND")


def job_lines(jobs: Sequence[Job]) -> list[str]:
    """A table of `jobs`, which are in the order of their ids: a run's legs stand together, the latest run first."""
    names = {job.id: job.name for job in jobs}
    latest = {job.run: job.id for job in jobs}
    shown = sorted(jobs, key=lambda job: (latest[job.run], job.id), reverse=True)
    return columns([_HEADS, *(_row(job, names) for job in shown)]) if jobs else []


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
