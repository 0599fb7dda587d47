"""What a scan finds, and what it takes from an earlier one."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from colab_remote.both.ignore import Ignore
from colab_remote.both.scan import Known, known_of, scan


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


def test_folders_may_lie_as_deep_as_a_path_is_long(tmp_path: Path) -> None:
    deep = tmp_path / "/".join("d" * 1500)
    subprocess.run(["mkdir", "-p", deep], check=True)
    try:
        assert list(scan(str(tmp_path), Ignore((), ()), {}).entries) == [str(deep.relative_to(tmp_path))]
    finally:
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)


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


@pytest.mark.usefixtures("later")
def test_rules_that_are_no_plain_file_are_none(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("*.log\n")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / ".gitignore").symlink_to("../rules")
    (tmp_path / "piped").mkdir()
    os.mkfifo(tmp_path / "piped" / ".gitignore")
    for folder in ("linked", "piped"):
        (tmp_path / folder / "a.log").write_text("kept")
    known: dict[str, Known] = {}
    for _ in range(2):
        listing = scan(str(tmp_path), Ignore((), ()), known)
        assert {"linked/a.log", "piped/a.log", "linked/.gitignore"} <= listing.entries.keys()
        assert listing.problems == {"piped/.gitignore": "is a FIFO, and not synced"}


@pytest.mark.usefixtures("later")
def test_what_was_learned_is_kept_as_json_and_nonsense_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    known: dict[str, Known] = {}
    scan(str(tmp_path), Ignore((), ()), known)
    assert known_of(json.loads(json.dumps(known))) == known
    nonsense: tuple[Any, ...] = (
        {"file": [1, 2, 3, 4, "digest"]},
        {"file": [["file", -1, 0, False, ""], 0, 0]},
        {"file": None},
        [],
    )
    for rows in nonsense:
        assert known_of(rows) == {}
