"""The jobs of several hosts. Imports little: `jobs` on a warm line has nothing else to wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from colab_remote.errors import ColabRemoteError
from colab_remote.laptop.hosts import Host
from colab_remote.laptop.reach import reach

if TYPE_CHECKING:
    from colab_remote.laptop.history import Job

_AT_ONCE = 8  # hosts asked at the same time


def listed(hosts: Sequence[Host], timeout: float | None) -> tuple[list[Job], dict[str, str]]:
    """The jobs that our own records and these hosts tell of, oldest first; and why a host did not answer.

    A job that its host has no record of, though it answers, is lost; one of a host that does not is of unknown state.
    """
    answers = _ask_all(hosts, timeout)
    from colab_remote.laptop.history import all_known, remember

    silent = {name: answer.message for name, answer in answers.items() if isinstance(answer, ColabRemoteError)}
    heard = {job.id: job for jobs in answers.values() if not isinstance(jobs, ColabRemoteError) for job in jobs}
    found = dict(heard)
    for job in all_known():
        if job.id not in heard:
            asked = job.host in answers and not job.over
            found[job.id] = replace(job, state="unknown" if job.host in silent else "lost") if asked else job
        elif job.host == heard[job.id].host and job != heard[job.id]:
            remember(heard[job.id])
    return [found[identity] for identity in sorted(found)], silent


def _ask_all(hosts: Sequence[Host], timeout: float | None) -> dict[str, list[Job] | ColabRemoteError]:
    if len(hosts) == 1:
        return {hosts[0].name: _ask(hosts[0], timeout)}
    from concurrent.futures import ThreadPoolExecutor  # only here: one host answers sooner than this is imported

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip((host.name for host in hosts), pool.map(lambda host: _ask(host, timeout), hosts), strict=True))


def _ask(host: Host, timeout: float | None) -> list[Job] | ColabRemoteError:
    try:
        with reach(host, timeout) as reached:
            asked = reached.open_agent().start("job_list")
            from colab_remote.laptop.history import job_of  # while the answer is on its way

            facts = asked.whole().listing()
    except ColabRemoteError as error:
        return error
    return [job for job in (job_of(each, host.name) for each in facts) if job]
