"""What a job's project was when the job began, told by its record and the diff at home."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sides import Host

from colab_remote.laptop.pin import LIMIT


@pytest.fixture
def project(host: Host, request: pytest.FixtureRequest) -> Path:
    """A git repository of one commit, in which any job can be started."""
    root = host.laptop.home / str(request.node.name).replace("[", "-").rstrip("]")
    root.mkdir()
    (root / "colab-remote.toml").write_text('[project]\ntrain = "true"\n')
    (root / "code.py").write_text("one\n")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "first")
    return root


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout


def began(host: Host, root: Path, *words: str) -> tuple[dict[str, Any], Path]:
    """The pin of a job, by the runtime's record, and its folder at home."""
    done = host.laptop(*words, cwd=root)
    assert done.returncode == 0, done.stderr
    home = max((root / ".colab-remote/jobs").iterdir())
    record = json.loads((host.runtime.state / "jobs" / home.name / "job.json").read_text())
    assert json.loads((home / "job.json").read_text())["pin"] == record["pin"]
    return record["pin"], home


@pytest.mark.parametrize("words", [("train",), ("run", "--", "true")])
def test_a_job_is_pinned_by_digest_commit_and_diff(host: Host, project: Path, words: tuple[str, ...]) -> None:
    clean, home = began(host, project, *words)
    assert set(clean) == {"tree", "commit"}
    assert not (home / "diff").exists()
    (project / "code.py").write_text("two\n")
    changed, home = began(host, project, *words)
    assert changed["commit"] == clean["commit"] == git(project, "rev-parse", "HEAD").strip()
    assert (len(changed["diff"]), changed["tree"] != clean["tree"]) == (16, True)
    git(project, "checkout", "--quiet", "code.py")
    git(project, "apply", str(home / "diff"))
    assert (project / "code.py").read_text() == "two\n"


def test_a_project_without_git_is_pinned_by_its_digest(host: Host) -> None:
    root = host.laptop.home / "pinned without git"
    root.mkdir()
    (root / "colab-remote.toml").touch()
    pin, _ = began(host, root, "run", "--", "true")
    assert set(pin) == {"tree"}


@pytest.mark.parametrize(("broken", "unknown"), [("index", "diff"), ("config", "commit")])
def test_what_git_could_not_tell_is_unknown_and_not_nothing(
    host: Host, project: Path, broken: str, unknown: str
) -> None:
    (project / ".git" / broken).write_bytes(b"[none of git's\n")
    pin, home = began(host, project, "run", "--", "true")
    assert pin[unknown] == "unknown"
    assert not (home / "diff").exists()


def test_a_long_diff_is_cut_and_says_so(host: Host, project: Path) -> None:
    (project / "code.py").write_text("a line that is new\n" * (LIMIT // 10))
    _, home = began(host, project, "run", "--", "true")
    kept = (home / "diff").read_bytes()
    assert kept.endswith(f"\n[cut: only the first {LIMIT} bytes of this diff are kept]\n".encode())
    assert len(kept) < LIMIT + 100


def test_no_program_that_the_repository_names_is_run(host: Host, project: Path) -> None:
    ran = project / "ran"
    (project / ".git/info/attributes").write_text("* filter=own diff=own\n")
    for name in ("filter.own.clean", "filter.own.process", "diff.own.textconv", "diff.own.command", "core.fsmonitor"):
        git(project, "config", name, f"touch '{ran}'; cat")
    git(project, "config", "filter.own.required", "true")
    (project / "code.py").write_text("two\n")
    pin, home = began(host, project, "run", "--", "true")
    assert "+two" in (home / "diff").read_text()
    assert "diff" in pin
    assert not ran.exists()
