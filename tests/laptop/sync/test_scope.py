"""What takes part in a sync where the laptop's disk holds less than the runtime's: executable bits, and case."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pair import Pair, new_pair, tree

from colab_remote.laptop.sync.scope import doubled


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return new_pair(tmp_path)


@pytest.fixture
def without_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that knows no executable files: here; the agent is a process of its own."""
    chmod, opened = os.chmod, os.open
    monkeypatch.setattr(os, "chmod", lambda path, mode, **more: chmod(path, mode & ~0o111, **more))
    monkeypatch.setattr(os, "open", lambda path, flags, mode=0, **more: opened(path, flags, mode & ~0o111, **more))


def mark_executable(file: Path) -> None:
    """As another process does."""
    subprocess.run(["chmod", "+x", str(file)], check=True)


def executable(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o100)


@pytest.mark.usefixtures("without_bits")
def test_a_laptop_without_executable_bits_keeps_the_runtimes(pair: Pair) -> None:
    pair.write(pair.there, "tool", "1")
    mark_executable(pair.there / "tool")
    pair.write(pair.there, "plain", "1")
    pair.sync(adopt=True)
    assert not executable(pair.here / "tool")
    pair.write(pair.here, "tool", "2")
    pair.write(pair.here, "plain", "2")
    assert sorted(pair.sync().up) == ["plain", "tool"]
    assert executable(pair.there / "tool")
    assert not executable(pair.there / "plain")
    assert pair.sync().up == ()
    mark_executable(pair.there / "plain")
    pair.write(pair.there, "tool", "3")
    assert pair.sync().problems == {}
    assert (pair.here / "tool").read_text() == "3"
    (pair.there / "tool").unlink()
    assert pair.sync().deleted_here == ("tool",)
    assert executable(pair.there / "plain")


@pytest.mark.usefixtures("without_bits")
def test_a_new_file_that_starts_as_a_script_is_made_executable(pair: Pair) -> None:
    pair.write(pair.here, "run", "#!/bin/sh\n")
    pair.write(pair.here, "notes", "# !\n")
    pair.sync()
    assert executable(pair.there / "run")
    assert not executable(pair.there / "notes")
    report = pair.sync()
    assert (report.up, report.down, report.conflicts) == ((), (), ())


def test_with_executable_bits_a_script_is_as_it_was_made(pair: Pair) -> None:
    pair.write(pair.here, "run", "#!/bin/sh\n")
    pair.sync()
    assert tree(pair.there) == tree(pair.here)
    assert not executable(pair.there / "run")


@pytest.mark.parametrize(
    ("here", "there", "named"),
    [
        ("a", "a b", ""),
        ("a", "a A", "A"),
        ("A", "a", ""),  # renamed over there
        ("", "x/a X/b", "x/a"),
        ("x/a", "x/a X/b", "X/b"),
        ("", "a A aA", "a"),
    ],
)
def test_names_that_differ_only_by_case(here: str, there: str, named: str) -> None:
    assert sorted(doubled(here.split(), there.split())) == named.split()
