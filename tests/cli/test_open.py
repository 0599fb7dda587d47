"""`colab-remote open`: a stand-in for VS Code on PATH here, a stand-in for its server over there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pair import tree
from sides import Host, Started, until

Open = Callable[..., tuple[subprocess.CompletedProcess[str], str]]
SECONDS = "8"  # for which an absent editor is waited for


@pytest.fixture
def project(host: Host, request: pytest.FixtureRequest) -> Path:
    """A small project."""
    root = host.laptop.home / str(request.node.name)
    root.mkdir()
    (root / "colab-remote.toml").touch()
    (root / "train.py").write_text("1")
    return root


@pytest.fixture
def opened(host: Host, tmp_path: Path) -> Open:
    """Runs a command: what it says, and what the editor was asked for."""
    asked = tmp_path / "asked"
    editor = tmp_path / "bin" / "code"
    editor.parent.mkdir()
    editor.write_text(f'#!/bin/sh\nprintf "%s " "$@" > {asked}\n')
    editor.chmod(0o755)

    def run(*words: str, cwd: Path) -> tuple[subprocess.CompletedProcess[str], str]:
        path = f"{editor.parent}:{host.laptop.env['PATH']}"
        done = host.laptop(*words, cwd=cwd, PATH=path)
        return done, asked.read_text() if asked.exists() else ""

    return run


def watches(project: Path) -> bool:
    """Whether a process keeps the project in sync."""
    done = subprocess.run(["pgrep", "-f", f"sync.beside {project} "], capture_output=True)
    return done.returncode == 0


def test_a_project_is_synced_and_stays_so_until_its_editor_is_gone(host: Host, project: Path, opened: Open) -> None:
    there = host.runtime.workdir / project.name
    words = [sys.executable, "-c", "input()", "/root/.vscode-server/bin/server-main.js"]
    with Started(words, stdin=subprocess.PIPE, text=True):
        done, asked = opened("--timeout", SECONDS, "open", cwd=project)
        assert done.returncode == 0, done.stderr
        assert asked.strip() == f"--folder-uri vscode-remote://ssh-remote+colab{there}"
        assert tree(there) == tree(project)
        (there / "train.py").write_text("edited there")
        until(lambda: (project / "train.py").read_text() == "edited there")
        opened("--timeout", SECONDS, "open", cwd=project)
        assert len(host.laptop.lines()) == 1
    until(lambda: not watches(project), "it goes on without an editor")
    assert "no editor is connected" in (project / ".colab-remote/watch-colab.log").read_text()


def test_without_a_watch_it_syncs_once(host: Host, project: Path, opened: Open) -> None:
    done, _ = opened("open", "--no-watch", "sub", cwd=project)
    assert done.stdout == f"VS Code opens {host.runtime.workdir / project.name / 'sub'}\n"
    assert tree(host.runtime.workdir / project.name) == tree(project)
    assert not watches(project)


def test_a_conflict_is_told_and_the_editor_opens(host: Host, project: Path, opened: Open) -> None:
    opened("open", "--no-watch", cwd=project)
    (project / "train.py").write_text("here")
    (host.runtime.workdir / project.name / "train.py").write_text("there")
    done, _ = opened("open", "--no-watch", cwd=project)
    assert done.returncode == 0
    assert "changed on both sides" in done.stderr
    assert "VS Code opens" in done.stdout


def test_outside_a_project_it_opens_the_working_directory(host: Host, opened: Open) -> None:
    done, _ = opened("open", cwd=host.laptop.home)
    assert done.stdout == f"VS Code opens {host.runtime.workdir}\n"
    assert "sync" not in done.stderr


def test_without_an_editor_the_link_is_told(host: Host, project: Path) -> None:
    done = host.laptop("open", "--no-watch", cwd=project, PATH="/usr/bin:/bin")
    assert done.returncode == 2
    assert f"vscode://vscode-remote/ssh-remote+colab{host.runtime.workdir / project.name}" in done.stderr
