"""Jobs where another laptop uses the runtime too, and where this one's disk is full."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sides import SMALL_DISK, Host, Laptop, Runtime


@pytest.fixture
def other(laptop: Laptop, tmp_path: Path) -> Iterator[Laptop]:
    """Somebody else's laptop."""
    home = tmp_path / "other"
    home.mkdir()
    with TemporaryDirectory(prefix="run-") as sockets:
        found = Laptop(home, {**laptop.env, "HOME": str(home), "XDG_RUNTIME_DIR": sockets})
        yield found
        found.end_lines()


def connect(laptop: Laptop, runtime: Runtime) -> None:
    runtime.admit(laptop.public_line())
    assert laptop("connect", runtime.ticket, "--open", "none").returncode == 0


def test_two_laptops_see_each_others_jobs_and_stop_none_by_accident(host: Host, other: Laptop) -> None:
    connect(other, host.runtime)
    identity = host.laptop("run", "--detach", "--name", "theirs-1", "--", "echo begun; sleep 60").stdout.strip()
    assert other("run", "--detach", "--name", "mine", "--", "true").returncode == 0
    seen = {job["name"]: job for job in json.loads(other("jobs", "--json").stdout)["jobs"]}
    assert seen["theirs-1"]["state"] == "running"
    refused = other("stop", "theirs")
    assert refused.returncode == 2, refused.stdout
    assert "which another laptop started" in refused.stderr
    assert identity in refused.stderr
    seen = {job["name"]: job for job in json.loads(host.laptop("jobs", "--json").stdout)["jobs"]}
    assert seen["theirs-1"]["state"] == "running"
    assert "mine" in seen
    assert other("stop", identity, "--grace", "0").stdout == "theirs-1   stopped\n"


def test_names_count_on_across_laptops(host: Host, other: Laptop) -> None:
    connect(other, host.runtime)
    for laptop in (host.laptop, other):
        assert laptop("run", "--detach", "--", "true").returncode == 0
    jobs = json.loads(other("jobs", "--json").stdout)["jobs"]
    names = [job["name"] for job in jobs if job["command"] == "true" and job["name"].startswith("true")]
    assert len(names) == len(set(names)) >= 2


def test_a_full_disk_here_is_named_and_the_log_comes_home_later(host: Host, small_disk: Path) -> None:
    laptop = replace(host.laptop, env={**host.laptop.env, "XDG_STATE_HOME": str(small_disk)})
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(SMALL_DISK * 3 // 4))
    done = laptop("run", "--name", "full", "--", "seq 1 100000; exit 3")
    assert done.returncode == 3, done.stderr
    assert done.stdout == "".join(f"{number}\n" for number in range(1, 100001))
    assert "the log here stops: No space left on device on this laptop; the job goes on" in done.stderr
    ballast.unlink()
    assert laptop("logs", "full").stdout == done.stdout
    assert sum(os.path.getsize(log) for log in small_disk.rglob("log") if log.is_file()) >= len(done.stdout)
