"""`colab-remote sync --watch` against a real sshd: what is saved on one side is on the other soon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from bad_network import BadNetwork
from pair import tree
from sides import PATIENCE, Host

from colab_remote.laptop.lock import LOCK, hold


@pytest.fixture
def project(host: Host, request: pytest.FixtureRequest) -> Path:
    """A small project."""
    root = host.laptop.home / str(request.node.name)
    root.mkdir()
    (root / "colab-remote.toml").touch()
    (root / "train.py").write_text("1")
    return root


class Watch:
    """A watch under way, and the events that it has told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.told: Queue[str] = Queue()
        self.hearing = threading.Thread(target=self._hear, daemon=True)
        self.hearing.start()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.put(line)

    def event(self, kind: str) -> dict[str, Any]:
        """The next event of that kind."""
        while True:
            found: dict[str, Any] = json.loads(self.told.get(timeout=PATIENCE))
            if found["event"] == kind:
                return found


@contextmanager
def watching(host: Host, project: Path) -> Iterator[Watch]:
    """A watch that has synced once."""
    with host.laptop.started("sync", "--watch", "--json", cwd=project) as process:
        watch = Watch(process)
        try:
            assert "train.py" in watch.event("synced")["up"]
            yield watch
        finally:
            process.kill()
            watch.hearing.join()


def becomes(state: Callable[[], object], wanted: object) -> None:
    """Return once `state()` is what is wanted."""
    deadline = time.monotonic() + PATIENCE
    while (found := state()) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


def same(project: Path, there: Path, **expected: str | None) -> None:
    """Return once both sides have those files with those texts; None is gone."""

    def found() -> list[dict[str, str | None]]:
        return [
            {name: (side / name).read_text() if (side / name).exists() else None for name in expected}
            for side in (project, there)
        ]

    becomes(found, [expected, expected])


def save(file: Path, text: str) -> None:
    """As editors do: a new file in the old one's place."""
    fresh = file.with_name(".DS_Store")  # a name that never travels
    fresh.write_text(text)
    os.replace(fresh, file)


def test_edits_new_files_and_deletions_of_both_sides_travel(host: Host, project: Path) -> None:
    there = host.runtime.workdir / project.name
    with watching(host, project):
        save(project / "train.py", "2")
        same(project, there, **{"train.py": "2"})
        save(there / "train.py", "3")
        same(project, there, **{"train.py": "3"})
        (there / "deep" / "er").mkdir(parents=True)
        (there / "deep/er/new").write_text("n")
        same(project, there, **{"deep/er/new": "n"})
        (project / "train.py").unlink()
        same(project, there, **{"train.py": None})
        (there / "deep/er/new").unlink()
        same(project, there, **{"deep/er/new": None})


def test_many_edits_at_once_on_both_sides_all_arrive(host: Host, project: Path) -> None:
    there = host.runtime.workdir / project.name
    with watching(host, project):
        for number in range(60):
            save(project / f"here-{number}", str(number))
            save(there / f"there-{number}", str(number))
        expected = {f"{side}-{number}": str(number) for side in ("here", "there") for number in range(60)}
        same(project, there, **expected)


def test_a_conflict_is_told_and_the_rest_goes_on(host: Host, project: Path) -> None:
    there = host.runtime.workdir / project.name
    with watching(host, project) as watch:
        watch.process.send_signal(signal.SIGSTOP)
        save(project / "train.py", "here")
        save(there / "train.py", "there")
        watch.process.send_signal(signal.SIGCONT)
        while not (found := watch.event("synced"))["conflicts"]:
            pass
        assert found["conflicts"][0]["path"] == "train.py"
        save(project / "other", "x")
        same(project, there, other="x")
        save(there / "train.py", "here")
        same(project, there, **{"train.py": "here"})


def test_other_commands_may_sync_meanwhile(host: Host, project: Path) -> None:
    there = host.runtime.workdir / project.name
    with watching(host, project) as watch:
        with hold(project / ".colab-remote" / LOCK):  # between two of its own
            watch.process.send_signal(signal.SIGSTOP)
        for number in range(20):
            save(project / f"f{number}", "1" * 100_000)
        done = host.laptop("sync", cwd=project)
        assert done.returncode == 0, done.stderr
        assert "20 files up" in done.stdout
        watch.process.send_signal(signal.SIGCONT)
        save(there / "f0", "2")
        same(project, there, f0="2")
        assert tree(project) == tree(there)
        assert len(tree(project)) == 22


def test_a_cut_line_and_a_new_ticket_are_survived(host: Host, project: Path) -> None:
    there = host.runtime.workdir / project.name
    with BadNetwork(("127.0.0.1", host.runtime.port)) as network:
        ticket = host.runtime.ticket.replace(f":{host.runtime.port}/", f":{network.port}/")
        assert host.laptop("connect", ticket, "--replace", "--open", "none").returncode == 0
        with watching(host, project) as watch:
            network.cut()
            save(project / "a", "1")
            save(there / "b", "1")
            same(project, there, a="1", b="1")
            network.down()
            save(project / "a", "2")
            watch.event("lost")
            assert host.laptop("connect", host.runtime.ticket, "--open", "none").returncode == 0
            watch.event("back")
            same(project, there, a="2")


def test_ctrl_c_ends_it_without_a_trace(host: Host, project: Path) -> None:
    with host.laptop.started("sync", "--watch", cwd=project) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("sync     2 files up")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert errors.strip() == ""


def test_a_host_that_was_never_there_is_an_error(host: Host, project: Path) -> None:
    ticket = host.runtime.ticket.replace(f":{host.runtime.port}/", ":1/")
    record = next((host.laptop.ours / "hosts").iterdir())
    record.write_text(record.read_text().replace(host.runtime.ticket, ticket))
    done = host.laptop("sync", "--watch", cwd=project)
    assert done.returncode == 4, done.stderr
