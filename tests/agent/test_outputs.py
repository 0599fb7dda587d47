"""Which outputs count as whole on the runtime: real files, open and torn."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path

import pytest

from colab_remote.agent.outputs import Watcher

OLD = time.time_ns() - 60_000_000_000


@pytest.fixture
def watcher(tmp_path: Path) -> Watcher:
    (tmp_path / "saved" / "checkpoint-1").mkdir(parents=True)
    return Watcher(tmp_path, ("saved/",), ("saved/**/*.pt", "saved/**/checkpoint-*/"))


def put(path: Path, data: bytes, written: int = OLD) -> Path:
    path.write_bytes(data)
    os.utime(path, ns=(written, written))
    return path


def ready(watcher: Watcher) -> dict[str, int]:
    return {entry["path"]: entry["size"] for entry in watcher.look([])[0]}


def test_sources_in_a_folder_called_as_one_of_outputs_are_none(tmp_path: Path, watcher: Watcher) -> None:
    (tmp_path / "web" / "saved").mkdir(parents=True)
    put(tmp_path / "web" / "saved" / "page.html", b"goes up")
    put(tmp_path / "saved" / "config.json", b"{}")
    watcher.look([])
    assert ready(watcher) == {"saved/config.json": 2}


def test_brackets_in_outputs_and_checkpoints_are_read_as_git_reads_them(tmp_path: Path) -> None:
    for name in ("runA/x", "run/x", "run1/a.pt", "runs/b.pt", "z", "m"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        put(tmp_path / name, b"x")
    watcher = Watcher(tmp_path, ("run[[:upper:]]/", "[z-a]", "x\\"), ("run[!a-z]/*.pt",))
    watcher.look([])
    assert ready(watcher).keys() == {"runA/x", "run1/a.pt", "z"}


def test_a_zip_counts_once_its_directory_is_there(tmp_path: Path, watcher: Watcher) -> None:
    path = tmp_path / "saved" / "step-1.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights", b"x" * 1000)
    whole = path.read_bytes()
    put(path, whole[:-30])
    assert ready(watcher) == {}
    put(path, whole, time.time_ns())
    assert ready(watcher) == {"saved/step-1.pt": len(whole)}


def test_a_file_that_is_open_for_writing_waits(tmp_path: Path, watcher: Watcher) -> None:
    path = put(tmp_path / "saved" / "weights.bin", b"half")
    with path.open("ab"):
        assert ready(watcher) == {}
    with path.open("rb"):
        assert ready(watcher) == {"saved/weights.bin": 4}


def test_a_file_of_no_known_format_waits_until_it_is_still(tmp_path: Path, watcher: Watcher) -> None:
    path = put(tmp_path / "saved" / "weights.bin", b"new", time.time_ns())
    assert ready(watcher) == {}
    put(path, b"new")  # whoever sets a time back has touched it now
    assert ready(watcher) == {}


def test_of_a_growing_log_whole_lines_may_go(tmp_path: Path, watcher: Watcher) -> None:
    put(tmp_path / "saved" / "metrics.jsonl", b'{"a": 1}\n{"b"', time.time_ns())
    assert ready(watcher) == {"saved/metrics.jsonl": 9}


def test_a_folder_goes_when_all_of_it_is_still(tmp_path: Path, watcher: Watcher) -> None:
    folder = tmp_path / "saved" / "checkpoint-1"
    put(folder / "weights.bin", b"123")
    put(folder / "state.json", b"{", time.time_ns())
    assert ready(watcher) == {}
    assert sorted(watcher.look([])[1]) == ["saved/checkpoint-1/state.json", "saved/checkpoint-1/weights.bin"]
