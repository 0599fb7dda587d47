"""Projects on the command line, against a real sshd: what is typed, what moves, what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sides import Host


@pytest.fixture
def project(host: Host, request: pytest.FixtureRequest) -> Path:
    """A small project on the laptop, its name the test's own."""
    root = host.laptop.home / str(request.node.name)
    root.mkdir()
    (root / "colab-remote.toml").write_text("")
    (root / "train.py").write_text("print('hello')\n")
    return root


def test_first_sync_takes_everything_up_and_the_second_nothing(host: Host, project: Path) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "한글 name").write_text("x")
    first = host.laptop("sync", cwd=project)
    assert first.returncode == 0
    assert first.stderr.startswith("month    ")
    assert first.stdout.startswith("sync     3 files up, 0 down · 16 B · ")
    far = host.runtime.workdir / project.name
    assert (far / "sub" / "한글 name").read_text() == "x"
    second = json.loads(host.laptop("sync", "--json", cwd=project).stdout)
    assert (second["up"], second["down"]) == ([], [])


def test_changes_of_both_sides_travel_and_a_conflict_is_left_alone(host: Host, project: Path) -> None:
    far = host.runtime.workdir / project.name
    host.laptop("sync", cwd=project)
    (project / "new here").write_text("1")
    (far / "new there").write_text("2")
    (project / "train.py").write_text("here\n")
    (far / "train.py").write_text("there\n")
    done = host.laptop("sync", cwd=project)
    assert done.returncode == 3, done.stderr
    assert "train.py   laptop " in done.stderr
    assert (far / "new here").read_text() == "1"
    assert (project / "new there").read_text() == "2"
    assert ((project / "train.py").read_text(), (far / "train.py").read_text()) == ("here\n", "there\n")
    assert host.laptop("sync", "--prefer", "remote", cwd=project).returncode == 0
    assert (project / "train.py").read_text() == "there\n"
