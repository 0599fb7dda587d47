"""Which job a command means, and its log as far as it can be had."""

from __future__ import annotations

from pathlib import Path

from colab_remote.cli.output import output
from colab_remote.errors import ColabRemoteError, Unreachable
from colab_remote.laptop.history import Job, all_known, choose
from colab_remote.laptop.hosts import all_hosts, host_names, load_host
from colab_remote.laptop.jobs import catch_up
from colab_remote.laptop.listing import listed
from colab_remote.laptop.project import find_project
from colab_remote.laptop.reach import reach


def chosen_job(word: str | None) -> Job:
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


def caught_up(job: Job) -> Job:
    """The job with its log at home, as far as its host can be asked."""
    if job.host not in host_names():
        output().say(f"`{job.host}` is not known here any more; this is what came home")
        return job
    try:
        with reach(load_host(job.host), output().timeout, output().say) as reached:
            return catch_up(reached.open_agent(), job, output().say)
    except Unreachable as error:
        output().say(f"{error.message}; this is what came home")
        return job
