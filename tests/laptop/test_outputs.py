"""Outputs on their way home: what was cut off goes on, and nothing of another job is lost."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import zipfile
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pair import Pair, new_pair, talking

from colab_remote.both.protocol import LARGEST
from colab_remote.errors import Unreachable
from colab_remote.laptop.conversation import Stream
from colab_remote.laptop.home import Arrival, Checkpoint, Home, Output, Unplaced
from colab_remote.laptop.meter import Allowance
from colab_remote.laptop.outputs import bring_home
from colab_remote.laptop.project import Project, load_project

LARGE = 3_000_000
LONGEST_PATH = 4095  # bytes that Linux takes


class CutAfter:
    """A stream that breaks once more than `budget` bytes have come."""

    def __init__(self, stream: Stream, budget: int) -> None:
        self.stream, self.left = stream, budget

    def recv(self, count: int) -> bytes:
        data = self.stream.recv(count)
        self.left -= len(data)
        if self.left < 0:
            raise ConnectionResetError
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class BeforeItIsSent:
    """A stream that does something once, just before the output of that number is asked for."""

    def __init__(self, stream: Stream, meanwhile: Callable[[], object], number: int = 1) -> None:
        self.stream, self.meanwhile, self.left = stream, meanwhile, number

    def sendall(self, data: bytes) -> None:
        self.left -= b"output_send" in data
        if self.left == 0:
            self.left = -1
            self.meanwhile()
        self.stream.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def project(pair: Pair) -> Project:
    pair.sync()
    (pair.there / "saved").mkdir()
    return load_project(pair.here)


def put(path: Path, data: bytes, written: float = 1_700_000_000) -> None:
    path.write_bytes(data)
    os.utime(path, (written, written))


def archive(path: Path, size: int) -> None:
    """A zip file, as torch.save writes them."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("weights", random.Random(size).randbytes(size))


def brought(
    pair: Pair, found: Project, through: Callable[[Stream], Stream], rest: Allowance | None = None
) -> list[Arrival | Unplaced]:
    with talking(through) as conversation:
        return list(bring_home(conversation, found, str(pair.there), rest=rest))


def test_a_half_received_output_goes_on_where_it_was(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = project(pair)
    data = random.Random(1).randbytes(LARGE)
    put(pair.there / "saved" / "large.bin", data)
    with suppress(Unreachable):
        brought(pair, found, lambda stream: CutAfter(stream, 2_000_000))
    assert not (pair.here / "saved").exists()
    brought(pair, found, lambda stream: CutAfter(stream, 1_600_000))  # not enough for all of it
    assert (pair.here / "saved" / "large.bin").read_bytes() == data


@pytest.mark.parametrize("size", [LARGE - 10, LARGE, LARGE + 10])
@pytest.mark.parametrize("in_place", [False, True])
def test_an_output_that_another_takes_the_place_of_after_it_was_listed_comes_whole(
    tmp_path: Path, size: int, in_place: bool
) -> None:
    pair = new_pair(tmp_path)
    found = project(pair)
    path, other = pair.there / "saved" / "best.pt", tmp_path / "other"
    archive(path, LARGE)
    archive(other, size)
    data = other.read_bytes()

    def write_anew() -> None:
        path.write_bytes(data) if in_place else os.replace(other, path)

    with talking(lambda stream: BeforeItIsSent(stream, write_anew)) as conversation:
        at_home = [
            (pair.here / arrival.path).read_bytes() for arrival in bring_home(conversation, found, str(pair.there))
        ]
    assert at_home == [data]  # never a part of it under the name


def test_a_log_that_grows_after_it_was_listed_comes_as_far_as_it_was(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = project(pair)
    path = pair.there / "saved" / "metrics.jsonl"
    put(path, b"{}\n")
    brought(pair, found, lambda stream: BeforeItIsSent(stream, lambda: path.write_bytes(b"{}\n{}\n")))
    assert (pair.here / "saved" / "metrics.jsonl").read_bytes() == b"{}\n"


def test_of_a_file_that_has_grown_only_the_tail_comes(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = project(pair)
    path, data = pair.there / "saved" / "log.txt", random.Random(1).randbytes(LARGE)
    put(path, data)
    brought(pair, found, lambda stream: stream)
    with path.open("ab") as file:
        file.write(b"more\n")
    os.utime(path, (1_700_000_001, 1_700_000_001))
    brought(pair, found, lambda stream: CutAfter(stream, 10_000))
    assert (pair.here / "saved" / "log.txt").read_bytes() == data + b"more\n"


def test_a_best_checkpoint_that_is_a_link_to_another_comes_once_and_stays(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    (pair.here / "colab-remote.toml").write_text("[project]\nkeep = 1\n")
    found = project(pair)
    large = random.Random(1).randbytes(LARGE)  # after a large one the runtime is asked anew
    for step in range(3):
        place = pair.there / "saved" / f"step-{step}.pt"
        with zipfile.ZipFile(place, "w") as archive:
            archive.writestr("weights", large)
        os.utime(place, (1_700_000_000 + step, 1_700_000_000 + step))
    os.link(pair.there / "saved" / "step-1.pt", pair.there / "saved" / "best.pt")
    with talking(lambda stream: stream) as conversation:
        arriving = bring_home(conversation, found, str(pair.there))
        came = [arrival.path for arrival in itertools.islice(arriving, 9)]
        assert came == ["saved/step-2.pt", "saved/best.pt"]
        assert list(bring_home(conversation, found, str(pair.there))) == []
    assert sorted(path.name for path in (pair.here / "saved").iterdir()) == ["best.pt", "step-2.pt"]


def test_a_file_that_is_no_output_is_not_moved_for_one(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    (pair.here / "colab-remote.toml").write_text('[project]\noutputs = ["**/*.bin"]\n')
    found = project(pair)
    (pair.here / "notes").write_text("mine")
    (pair.there / "notes").mkdir()
    put(pair.there / "notes" / "a.bin", b"")
    put(pair.there / "b.bin", b"longer")
    stays, came = brought(pair, found, lambda stream: stream)
    assert stays == Unplaced("notes/a.bin", "would need a folder where `notes` is, which is no output")
    assert came.path == "b.bin"
    assert (pair.here / "notes").read_text() == "mine"


def test_the_record_of_many_files_is_not_written_for_each_and_knows_all_that_came(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = project(pair)
    for number in range(60):
        put(pair.there / "saved" / f"{number}.txt", b"")
    record, written = pair.here / ".colab-remote" / "outputs.json", set()
    with talking() as conversation:
        coming = bring_home(conversation, found, str(pair.there))
        for _ in itertools.islice(coming, 50):
            written.add(record.stat().st_mtime_ns)
        assert isinstance(coming, Generator)
        coming.close()  # as where the command is interrupted
    assert len(written) < 50
    assert len(brought(pair, found, lambda stream: stream)) == 10
    assert brought(pair, found, lambda stream: stream) == []


def test_files_that_are_still_written_fill_no_frame(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = project(pair)
    folder = pair.there / "saved" / ("d" * 200) / ("d" * 200) / ("d" * 200) / "checkpoint-1"
    folder.mkdir(parents=True)
    for number in range(LARGEST // 600):
        (folder / str(number)).touch()
    put(pair.there / "saved" / "y", b"")
    assert [came.path for came in brought(pair, found, lambda stream: stream)] == ["saved/y"]


def test_what_a_budget_has_no_room_for_waits_and_what_fits_comes(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = project(pair)
    put(pair.there / "saved" / "large.bin", bytes(LARGE))
    put(pair.there / "saved" / "small.bin", b"small")
    rest = Allowance(100)
    assert [arrival.path for arrival in brought(pair, found, lambda stream: stream, rest)] == ["saved/small.bin"]
    assert (rest.waiting, rest.left) == ({"saved/large.bin": LARGE}, 95)


def test_an_output_that_cannot_be_written_here_holds_up_no_other(tmp_path: Path) -> None:
    pair = new_pair(tmp_path / ("a-longer-name" * 10))
    pair = Pair(pair.here, tmp_path / "content")
    pair.workdir.mkdir()
    found = project(pair)
    deep = pair.there / "saved"
    while (room := LONGEST_PATH - len(str(deep)) - len("/x/x")) > 0:
        deep /= "d" * min(room, 200)
    deep.mkdir(parents=True)
    put(deep / "x", b"")
    put(pair.there / "saved" / "y", b"comes after what is smaller")
    stays, came = brought(pair, found, lambda stream: stream)
    assert isinstance(stays, Unplaced)
    assert stays.reason == "cannot be written: File name too long"
    assert came.path == "saved/y"


def test_the_newest_checkpoint_is_the_latest_jobs_whatever_a_runtimes_clock_says(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    home = Home(project(pair))
    day = 86_400
    for name, job, written in (
        ("a", "20260101-000000-aaaa", 1_700_000_000 + day),
        ("b", "20260102-000000-bbbb", 1_700_000_000),
    ):
        output = Output(f"saved/{name}.pt", 1, written * 10**9, 1, job, True)
        partial = home.begin(output)
        partial.write_bytes(name.encode())
        home.arrive(output, partial, "")
    assert [checkpoint.path for checkpoint in home.checkpoints()] == ["saved/a.pt", "saved/b.pt"]
    newest = home.newest_of(["20260101-000000-aaaa"])
    assert isinstance(newest, Checkpoint)
    assert newest.path == "saved/a.pt"


def test_an_output_of_another_job_is_kept_aside(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    home = Home(project(pair))
    kept = ""
    for inode, job in enumerate(("20260101-000000-aaaa", "20260102-000000-bbbb", "20260102-000000-bbbb")):
        output = Output("saved/best.pt", 1, inode, inode, job, True)
        partial = home.begin(output)
        partial.write_bytes(str(inode).encode())
        kept += home.arrive(output, partial, "")[0].kept
    assert kept == ".colab-remote/kept/20260101-000000-aaaa/saved/best.pt"
    assert (pair.here / kept).read_bytes() == b"0"
    assert (pair.here / "saved" / "best.pt").read_bytes() == b"2"


def of_folders(pair: Pair, more: str = "") -> Project:
    """A project whose checkpoints are folders."""
    (pair.here / "colab-remote.toml").write_text(f'[project]\ncheckpoints = ["saved/*/"]\n{more}')
    return project(pair)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def partials(found: Project) -> list[str]:
    return os.listdir(found.root / ".colab-remote" / "partial")


def folder_written(folder: Path, version: int) -> None:
    """A checkpoint that is a folder, written over the one before it."""
    for name in ("model.bin", "optimizer.bin", "state.json"):
        put(folder / name, random.Random(f"{name} {version}").randbytes(LARGE), 1_700_000_000 + version)


def test_a_checkpoint_that_is_a_folder_changes_as_one_though_it_is_cut_at_any_moment(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = of_folders(pair)
    there, here = pair.there / "saved" / "last", pair.here / "saved" / "last"
    there.mkdir()
    folder_written(there, 1)
    brought(pair, found, lambda stream: stream)
    first = files_in(here)
    folder_written(there, 2)
    second = files_in(there)
    cuts = 0
    while files_in(here) != second:
        with suppress(Unreachable):
            brought(pair, found, lambda stream: CutAfter(stream, 2 * LARGE // 3))
        cuts += 1
        assert files_in(here) in (first, second)
        assert [checkpoint.path for checkpoint in Home(found).checkpoints()] == ["saved/last"]
    assert cuts > 3


def test_a_folder_that_was_left_half_changed_is_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = new_pair(tmp_path)
    found = of_folders(pair)
    (pair.there / "saved" / "last").mkdir()
    folder_written(pair.there / "saved" / "last", 1)
    brought(pair, found, lambda stream: stream)
    folder_written(pair.there / "saved" / "last", 2)
    really = os.replace

    def killed(source: Path, place: Path) -> None:
        if place.name == "state.json":
            raise KeyboardInterrupt
        really(source, place)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        brought(pair, found, lambda stream: stream)
    monkeypatch.undo()
    assert Home(found).checkpoints() == []
    brought(pair, found, lambda stream: stream)
    assert [checkpoint.path for checkpoint in Home(found).checkpoints()] == ["saved/last"]


def test_a_disk_that_keeps_coarser_times_has_what_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = new_pair(tmp_path)
    found = of_folders(pair)
    log, last = pair.there / "saved" / "log.csv", pair.there / "saved" / "last"
    last.mkdir()
    really = os.utime
    for number in (1, 2):
        folder_written(last, number)
        log.write_text("loss\n" * number)
        for path in (log, *last.iterdir()):
            os.utime(path, ns=(1_700_000_000_123_456_789 + number,) * 2)
        with monkeypatch.context() as patched:  # as NTFS
            patched.setattr(os, "utime", lambda path, ns: really(path, ns=(ns[0] // 100 * 100, ns[1] // 100 * 100)))
            came = brought(pair, found, lambda stream: stream)
            assert [(type(each), getattr(each, "kept", None)) for each in came] == [(Arrival, "")] * 4
            assert brought(pair, found, lambda stream: stream) == []


def test_a_folder_that_has_begun_to_come_goes_on_before_a_newer_one(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = of_folders(pair)
    there = pair.there / "saved"
    (there / "1").mkdir()
    folder_written(there / "1", 1)

    def newer() -> None:
        (there / "2").mkdir()
        folder_written(there / "2", 2)

    came = brought(pair, found, lambda stream: BeforeItIsSent(stream, newer, number=2))
    assert [Path(each.path).parent.name for each in came] == ["1"] * 3 + ["2"] * 3


def test_a_folder_that_is_whole_once_another_file_is_gone_is_placed(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = of_folders(pair)
    there, here = pair.there / "saved" / "last", pair.here / "saved" / "last"
    there.mkdir()
    put(there / "merged.bin", bytes(LARGE), 1_700_000_001)
    put(there / "shard.bin", bytes(LARGE))
    brought(pair, found, lambda stream: BeforeItIsSent(stream, (there / "shard.bin").unlink, number=2))
    assert [path.name for path in here.iterdir()] == ["merged.bin"]


def test_what_came_of_a_folder_that_is_gone_is_removed(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = of_folders(pair)
    there = pair.there / "saved" / "1"
    there.mkdir()
    folder_written(there, 1)
    brought(pair, found, lambda stream: BeforeItIsSent(stream, lambda: shutil.rmtree(there), number=2))
    assert partials(found) == []


def test_a_smaller_checkpoint_in_the_folder_of_a_larger_one_has_its_own_files(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = of_folders(pair)
    there = pair.there / "saved" / "last"
    there.mkdir()
    folder_written(there, 1)
    brought(pair, found, lambda stream: stream)
    (there / "state.json").unlink()
    put(there / "model.bin", b"new", 1_700_000_001)
    brought(pair, found, lambda stream: stream)
    assert [checkpoint.files for checkpoint in Home(found).checkpoints()] == [
        ("saved/last/model.bin", "saved/last/optimizer.bin")
    ]


def test_a_folder_of_which_a_file_cannot_lie_here_is_no_checkpoint(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = of_folders(pair)
    there, here = pair.there / "saved" / "last", pair.here / "saved" / "last"
    (there / "inner").mkdir(parents=True)
    folder_written(there, 1)
    put(there / "inner" / "state.bin", b"small")
    here.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (here / "inner").symlink_to(tmp_path / "elsewhere")
    came = brought(pair, found, lambda stream: stream)
    assert [(each.path, type(each)) for each in came] == [("saved/last/inner/state.bin", Unplaced)]
    assert Home(found).checkpoints() == []


def test_a_link_here_that_leads_nowhere_is_no_checkpoint(tmp_path: Path) -> None:
    pair = new_pair(tmp_path)
    found = project(pair)
    (pair.here / "saved").mkdir()
    (pair.here / "saved" / "last.pt").symlink_to("gone.pt")
    assert Home(found).checkpoints() == []
