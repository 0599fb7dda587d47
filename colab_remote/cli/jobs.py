"""The jobs that are there. What shows them is imported while the answer is on its way, see `listed`."""

from __future__ import annotations

from dataclasses import asdict

import click

from colab_remote.cli.output import output, reports, visible
from colab_remote.laptop.hosts import all_hosts, load_host
from colab_remote.laptop.listing import listed


@click.command()
@click.option("--host", "host_name", help="Only this host's jobs.")
@reports
def jobs(host_name: str | None) -> None:
    """The jobs of all hosts, and how they are."""
    found, silent = listed([load_host(host_name)] if host_name else all_hosts(), output().timeout)
    from colab_remote.cli.joblines import job_lines

    found = [job for job in found if host_name in (None, job.host)]
    for name, why in silent.items():
        output().say(visible(f"{name}: {why}; what is known here of its jobs may be old"))
    output().report({"jobs": [asdict(job) for job in found]}, job_lines(found))
