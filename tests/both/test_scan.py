"""What a scan finds, and what it takes from an earlier one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from colab_remote.both.ignore import Ignore
from colab_remote.both.scan import Known, scan


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock by which no file is so fresh that it has to be read again."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10**10)


@pytest.mark.usefixtures("later")
def test_rules_that_change_are_heeded_for_files_that_did_not(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    everything = ["a.log", "sub/b.log", "sub/c.txt"]
    for name in everything:
        (tmp_path / name).write_text(name)
    known: dict[str, Known] = {}

    def found(*exclude: str) -> list[str]:
        return sorted(scan(str(tmp_path), Ignore(exclude, ()), known).entries)

    for _ in range(2):
        assert found() == everything
        assert known["a.log"].entry.size == 5
        assert found("*.txt") == ["a.log", "sub/b.log"]
        assert found() == everything
        rules = tmp_path / "sub" / ".gitignore"
        rules.write_text("*.log\n")
        assert found() == ["a.log", "sub/.gitignore", "sub/c.txt"]
        assert found() == ["a.log", "sub/.gitignore", "sub/c.txt"]
        rules.write_text("*.txt\n")
        assert found() == ["a.log", "sub/.gitignore", "sub/b.log"]
        rules.unlink()
        assert found() == everything


@pytest.mark.usefixtures("later")
def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "same").write_text("1")
    (tmp_path / "other").write_text("1")
    known: dict[str, Known] = {}
    scan(str(tmp_path), Ignore((), ()), known)
    known["same"] = known["same"]._replace(entry=known["same"].entry._replace(mark="as it was"))
    (tmp_path / "other").write_text("22")
    entries = scan(str(tmp_path), Ignore((), ()), known).entries
    assert entries["same"].mark == "as it was"
    assert entries["other"].size == 2
