"""A job's record, a folder of files each written once: what was asked, what ran, how it ended.

jobs/ID/job.json    id, name, command, project, folder, tty, a digest of its environment, asked (Unix seconds)
jobs/ID/run.json    pid (of the job's process group), runner, start and boot id of both, terminal, started
jobs/ID/keys        a FIFO: what is typed at its terminal, where it has one
jobs/ID/log         stdout and stderr in order, the job's own bytes
jobs/ID/times       when it was written, see `logtimes`
jobs/ID/exit.json   code, signal, stopped, ended, usage
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterable
from typing import Any

ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
GRACE = 10.0  # seconds between SIGTERM and SIGKILL, unless `stop` says otherwise
OVER = ("done", "failed", "stopped", "lost")


def make_id() -> str:
    """A new job's id: the second it was asked for (UTC), and how far that had gone, so that ids are in order."""
    second, rest = divmod(time.time_ns(), 10**9)
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(second))}-{(rest << 16) // 10**9:04x}"


def state(ran: dict[str, Any], ended: dict[str, Any], alive: bool) -> str:
    """A job's state, from its run.json and exit.json (empty when absent) and whether its processes live.

    "starting", "running", "done", "failed", "stopped", or "lost": it ran, nothing of it is left, and nobody was
    there to see how it ended: the VM went away, or its runner was killed.
    """
    if ended:
        return "stopped" if ended.get("stopped") else "failed" if ended.get("code") else "done"
    if alive:
        return "running" if ran else "starting"
    return "lost"


def asked_at(identity: str) -> float:
    """When the job of that id was asked for, in seconds since 1970 by the laptop's clock."""
    return calendar.timegm(time.strptime(identity[:15], "%Y%m%d-%H%M%S"))


def next_name(stem: str, names: Iterable[str]) -> str:
    """`stem-N` with the first number above those in `names`."""
    numbered = re.compile(re.escape(stem) + r"-(\d{1,9})")
    found = (numbered.fullmatch(name) for name in names)
    return f"{stem}-{1 + max((int(match[1]) for match in found if match), default=0)}"


def find(word: str, jobs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The jobs that `word` can mean: the newest of that name, the one of that id, or all whose id or name begins so."""
    newest = sorted(jobs, key=lambda job: str(job["id"]), reverse=True)
    exact = [job for job in newest if word in (job["id"], job["name"])]
    return exact[:1] or [job for job in newest if job["id"].startswith(word) or job["name"].startswith(word)]
