"""`colab-remote sync` at its edges: names of any bytes, explanations, two at once."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from pair import tree
from sides import PATIENCE, Host

LONGEST_PATH = 4095  # bytes that Linux takes


@pytest.fixture
def project(host: Host, request: pytest.FixtureRequest) -> Path:
    """An empty project."""
    root = host.laptop.home / str(request.node.name)
    root.mkdir()
    (root / "colab-remote.toml").touch()
    return root


def test_a_dry_run_explains_what_is_ignored_as_git_does(host: Host, project: Path) -> None:
    for name in ("a.log", "src/b.log", "src/kept.py", "src/__pycache__/kept.pyc"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    (project / ".gitignore").write_text("# logs\n*.log\n")
    done = host.laptop("sync", "--dry-run", "-v", cwd=project)
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  ignored")]
    assert ["ignored", "src/b.log", ".gitignore:2:*.log"] in rows
    assert ["ignored", "src/__pycache__/", "the", "usual", "suspects:1:__pycache__/"] in rows
    assert not [row for row in rows if "kept" in row[1]]
    assert not (host.runtime.workdir / project.name).exists()


def test_names_that_are_not_utf_8_travel_and_are_told_to_programs_too(host: Host, project: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (project / name).write_text("x")
    done = host.laptop("sync", "--json", cwd=project, PYTHONIOENCODING="utf-8:strict")
    assert done.returncode == 0, done.stderr
    assert name in json.loads(done.stdout)["up"]
    assert (host.runtime.workdir / project.name / name).read_text() == "x"


def test_two_syncs_at_once_both_end_well(host: Host, project: Path) -> None:
    for number in range(50):
        (project / str(number)).write_text(f"{number}" * 1000)
    with ExitStack() as stack:
        both = [stack.enter_context(host.laptop.started("sync", cwd=project)) for _ in range(2)]
        for command in both:
            _, errors = command.communicate(timeout=PATIENCE)
            assert command.returncode == 0, errors
    assert tree(project) == tree(host.runtime.workdir / project.name)


def test_what_cannot_be_written_is_named_and_fails_the_command(host: Host, project: Path) -> None:
    """Its path is as long as any may be, and longer on the other side until it is whole there."""
    assert host.laptop("sync", cwd=project).returncode == 0
    here = min(project, host.runtime.workdir / project.name, key=lambda folder: len(str(folder)))
    folder = here
    while (room := LONGEST_PATH - len(str(folder)) - len("//x")) > 0:
        folder /= "d" * min(room, 200)
    folder.mkdir(parents=True)
    (folder / "x").touch()
    (project / "fine").touch()
    os.mkfifo(project / "a-fifo")
    done = host.laptop("--quiet", "run", "--", "touch", "ran", cwd=project)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        125,
        "error: 1 file could not be synced; the others went through",
    )
    assert not (host.runtime.workdir / project.name / "ran").exists()
    done = host.laptop("sync", cwd=project)
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert said[0] == "error: 1 file could not be synced; the others went through"
    assert said[1].endswith("/x cannot be written: File name too long")
    assert said[2] == "  a-fifo is a FIFO, and not synced"
    assert (host.runtime.workdir / project.name / "fine").exists()
    shutil.rmtree(here / ("d" * 200))
    done = host.laptop("sync", cwd=project)
    assert done.returncode == 0, done.stderr


def test_a_dry_run_does_not_decide_where_the_next_command_goes(host: Host, project: Path) -> None:
    assert host.laptop("sync", cwd=project).returncode == 0
    record = (project / ".colab-remote" / "project.json").read_bytes()
    other = host.laptop.ours / "hosts" / "other.json"
    shutil.copy(host.laptop.ours / "hosts" / "colab.json", other)
    try:
        done = host.laptop("sync", "--dry-run", "--host", "other", cwd=project)
        assert done.returncode == 0, done.stderr
    finally:
        host.laptop("disconnect", "other")
    assert (project / ".colab-remote" / "project.json").read_bytes() == record


def test_a_dry_run_with_a_conflict_shows_what_would_move_and_says_that_nothing_did(host: Host, project: Path) -> None:
    far = host.runtime.workdir / project.name
    (project / "both").write_text("0")
    assert host.laptop("sync", cwd=project).returncode == 0
    for folder, text in ((project, "here"), (far, "there")):
        (folder / "both").write_text(text)
    for name in ("new", "newer"):
        (project / name).touch()
    (project / "out").symlink_to("/")
    (project / "a.pyc").touch()
    done = host.laptop("sync", "--dry-run", "-v", cwd=project)
    assert done.returncode == 3, done.stderr
    said = done.stderr.splitlines()
    assert said[0] == "error: 1 file changed on both sides; neither would be touched, 2 others would go through"
    assert said[1].startswith("  both   laptop ")
    assert "  up            new" in done.stdout.splitlines()
    assert [line.split()[:2] for line in done.stdout.splitlines()].count(["ignored", "a.pyc"]) == 1
    assert f"{done.stdout}{done.stderr}".count("  out ") == 1
    done = host.laptop("sync", "--dry-run", "--json", cwd=project)
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert (found["up"], found["error"]["code"], found["error"]["exit"]) == (["new", "newer"], "conflicts", 3)
    assert [conflict["path"] for conflict in found["conflicts"]] == ["both"]
    assert not (far / "new").exists()
