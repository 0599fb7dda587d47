"""Sync between two real folders, with a real agent: what it promises for the plain cases and against bad ones."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pair import Counted, Pair, new_pair, tree

from colab_remote.errors import Refused
from colab_remote.laptop.conversation import Stream
from colab_remote.laptop.lock import hold

NAMES = ["a b", 'it\'s "quoted"', "-rf", "two\nlines", "한글", os.fsdecode(b"caf\xe9"), "tab\there", "$HOME", "*"]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return new_pair(tmp_path)


def test_first_sync_makes_the_folder_with_everything_in_it(pair: Pair) -> None:
    pair.write(pair.here, "src/deep/model.py", "x")
    (pair.here / "run.sh").write_text("#!/bin/sh\n")
    (pair.here / "run.sh").chmod(0o755)
    (pair.here / "link").symlink_to("src/deep")
    (pair.here / "logs").mkdir()
    os.utime(pair.here / "run.sh", ns=(10**18, 10**18))
    report = pair.sync()
    assert tree(pair.there) == tree(pair.here)
    assert (pair.there / "run.sh").stat().st_mtime_ns == 10**18
    assert sorted(report.up) == ["colab-remote.toml", "link", "logs", "run.sh", "src/deep/model.py"]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_travels_both_ways_and_can_be_deleted(pair: Pair, name: str) -> None:
    pair.write(pair.here, f"up/{name}", "1")
    pair.sync()
    pair.write(pair.there, f"down {name}", "2")
    pair.sync()
    assert tree(pair.there) == tree(pair.here)
    (pair.here / f"down {name}").unlink()
    (pair.there / "up" / name).unlink()
    report = pair.sync()
    assert (report.deleted_there, report.deleted_here) == ((f"down {name}",), (f"up/{name}",))
    assert not (pair.there / f"down {name}").exists()


def test_a_second_sync_moves_nothing(pair: Pair) -> None:
    pair.write(pair.here, "a", "x")
    pair.sync()
    report = pair.sync()
    assert (report.up, report.down, report.sent, report.received) == ((), (), 0, 0)


def test_deletions_modes_links_and_folders_travel(pair: Pair) -> None:
    for name in ("gone", "mode", "becomes a link", "becomes a folder", "folder/becomes a file", "kept", "emptied"):
        pair.write(pair.here, name, name)
    for name in ("empty one", "empty two"):
        (pair.here / name).mkdir()
    pair.sync()
    (pair.here / "empty one").rmdir()
    (pair.here / "empty one").touch()
    (pair.there / "empty two").rmdir()
    pair.write(pair.there, "empty two", "x")
    pair.write(pair.there, "emptied", "")
    (pair.there / "gone").unlink()
    (pair.there / "mode").chmod(0o755)
    (pair.here / "becomes a link").unlink()
    (pair.here / "becomes a link").symlink_to("kept")
    (pair.here / "becomes a folder").unlink()
    pair.write(pair.here, "becomes a folder/in it", "x")
    shutil.rmtree(pair.there / "folder")
    pair.write(pair.there, "folder", "a file now")
    assert pair.sync().problems == {}
    assert tree(pair.there) == tree(pair.here)
    assert (pair.here / "folder").read_text() == "a file now"
    assert os.access(pair.here / "mode", os.X_OK)
    assert not (pair.here / "gone").exists()


def test_a_folder_goes_with_its_last_file_but_not_with_what_is_ignored_in_it(pair: Pair) -> None:
    pair.write(pair.here, "a/b/c", "x")
    pair.write(pair.here, "d/e", "x")
    pair.sync()
    pair.write(pair.there, "d/__pycache__/e.pyc", "x")
    shutil.rmtree(pair.here / "a")
    shutil.rmtree(pair.here / "d")
    pair.sync()
    assert not (pair.there / "a").exists()
    assert (pair.there / "d/__pycache__/e.pyc").exists()
    assert pair.sync().down == ()
    assert not (pair.here / "d").exists()


def test_a_folder_that_holds_what_is_ignored_is_in_the_way_until_it_is_gone(pair: Pair) -> None:
    pair.write(pair.here, "lib/a.py", "1")
    pair.sync()
    pair.write(pair.there, "lib/__pycache__/a.pyc", "1")
    shutil.rmtree(pair.here / "lib")
    pair.write(pair.here, "lib", "now a file")
    for _ in range(2):
        assert pair.sync().failed == ["lib"]
    shutil.rmtree(pair.there / "lib")
    pair.sync()
    assert (pair.there / "lib").read_text() == "now a file"


def test_times_of_any_century_travel(pair: Pair) -> None:
    for year in (1905, 2105, 2300):
        pair.write(pair.here, str(year), "1")
        os.utime(pair.here / str(year), ((year - 1970) * 31_556_952,) * 2)
    assert pair.sync().problems == {}
    assert tree(pair.here) == tree(pair.there)
    assert pair.sync().up == ()


def test_outputs_neither_go_up_nor_come_down_nor_are_deleted(pair: Pair) -> None:
    pair.write(pair.here, "saved/here.pt", "x")
    pair.sync()
    assert not (pair.there / "saved").exists()
    pair.write(pair.there, "saved/there.pt", "y")
    pair.sync()
    shutil.rmtree(pair.here / "saved")
    pair.sync()
    assert (pair.there / "saved/there.pt").read_text() == "y"


def test_secrets_and_caches_stay_unless_named(pair: Pair) -> None:
    for name in (".env", "key.pem", "id_rsa", ".git/config", ".venv/x", "node_modules/x", "src/__pycache__/x.pyc"):
        pair.write(pair.here, name, "x")
    pair.sync()
    assert list(tree(pair.there)) == ["colab-remote.toml"]
    (pair.here / ".gitignore").write_text("!.env\n!.git\n")
    pair.sync()
    assert list(tree(pair.there)) == [".env", ".gitignore", "colab-remote.toml"]


def test_a_new_ignore_rule_deletes_nothing_on_either_side(pair: Pair) -> None:
    pair.write(pair.here, "data.csv", "x")
    pair.write(pair.here, "notes/a.txt", "x")
    pair.sync()
    (pair.here / ".gitignore").write_text("data.csv\n")
    (pair.there / "notes" / ".gitignore").write_text("a.txt\n")
    report = pair.sync()
    assert (report.deleted_here, report.deleted_there) == ((), ())
    for side in (pair.here, pair.there):
        assert (side / "data.csv").exists()
        assert (side / "notes/a.txt").exists()


def test_settings_only_go_up(pair: Pair) -> None:
    pair.sync()
    (pair.there / "colab-remote.toml").write_text("[project]\ntrain = 'rm -rf ~'\n")
    for prefer in (None, None, "remote", None):
        report = pair.sync(prefer=prefer)
        assert "colab-remote.toml" in report.problems
        assert report.conflicts == ()
        assert (pair.here / "colab-remote.toml").read_text() == ""


def test_another_projects_folder_and_an_unmarked_one_are_refused_until_adopted(pair: Pair) -> None:
    pair.write(pair.there, "sample_data/x", "1")
    with pytest.raises(Refused, match="has files and no mark"):
        pair.sync()
    pair.sync(adopt=True)
    assert (pair.here / "sample_data/x").read_text() == "1"
    shutil.copytree(pair.here, pair.here.parent / "other" / "digits")
    other = Pair(pair.here.parent / "other" / "digits", pair.workdir)
    with pytest.raises(Refused, match="another project") as refused:
        other.sync()
    assert str(pair.here) in refused.value.message
    assert str(other.here) in refused.value.message


def test_a_new_disk_gets_everything_and_deletes_nothing_here(pair: Pair) -> None:
    pair.write(pair.here, "a", "x")
    pair.sync()
    shutil.rmtree(pair.there)
    report = pair.sync()
    assert sorted(report.up) == ["a", "colab-remote.toml"]
    assert report.deleted_here == ()


@pytest.mark.parametrize("side", ["here", "there"])
def test_an_emptied_side_halts_and_prefer_decides(pair: Pair, side: str) -> None:
    for number in range(12):
        pair.write(pair.here, f"{number}", str(number))
    pair.sync()
    emptied = getattr(pair, side)
    for number in range(10):
        (emptied / str(number)).unlink()
    with pytest.raises(Refused, match="lost all or most"):
        pair.sync()
    pair.sync(prefer="remote" if side == "here" else "local")
    assert len(tree(pair.here)) == len(tree(pair.there)) == 13


@pytest.mark.parametrize("settings", ['[sync]\nexclude = ["data/"]', '[project]\noutputs = ["data/"]'])
def test_a_new_rule_for_most_files_is_no_loss_and_an_edit_there_stays_a_conflict(pair: Pair, settings: str) -> None:
    for name in ("a", *(f"data/{number}" for number in range(20))):
        pair.write(pair.here, name, name)
    pair.sync()
    pair.write(pair.here, "colab-remote.toml", settings)
    pair.write(pair.here, "a", "here")
    pair.write(pair.there, "a", "there")
    report = pair.sync()
    assert (report.up, [conflict.path for conflict in report.conflicts]) == (("colab-remote.toml",), ["a"])
    assert (report.deleted_here, report.deleted_there) == ((), ())
    assert len(list((pair.here / "data").iterdir())) == len(list((pair.there / "data").iterdir())) == 20


def test_both_sides_edits_conflict_and_everything_else_goes_through(pair: Pair) -> None:
    pair.write(pair.here, "a", "0")
    pair.sync()
    pair.write(pair.here, "a", "here")
    pair.write(pair.there, "a", "there")
    pair.write(pair.here, "b", "1")
    report = pair.sync()
    assert [conflict.path for conflict in report.conflicts] == ["a"]
    assert (pair.there / "b").read_text() == "1"
    assert [conflict.path for conflict in pair.sync().conflicts] == ["a"]
    pair.sync(prefer="local")
    assert (pair.there / "a").read_text() == "here"


def test_an_edit_that_leaves_size_and_time_as_they_were_is_seen(pair: Pair) -> None:
    pair.write(pair.here, "a", "1")
    os.utime(pair.here / "a", ns=(10**18, 10**18))
    pair.sync()
    pair.write(pair.here, "a", "2")
    os.utime(pair.here / "a", ns=(10**18, 10**18))
    assert pair.sync().up == ("a",)


def test_special_files_and_links_that_leave_are_named_and_skipped(pair: Pair) -> None:
    os.mkfifo(pair.here / "fifo")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(pair.here / "socket"))
    server.close()
    targets = {"out": "../x", "absolute": str(pair.here / "colab-remote.toml"), "sly": "sub/../../x", "up": ".."}
    for name, target in targets.items():
        (pair.here / name).symlink_to(target)
    (pair.here / "sub").mkdir()
    (pair.here / "sub" / "fine").symlink_to("../colab-remote.toml")
    report = pair.sync()
    assert sorted(report.problems) == sorted(["fifo", "socket", *targets])
    assert sorted(report.up) == ["colab-remote.toml", "sub/fine"]


def test_an_unreadable_folder_is_named_and_not_taken_for_deleted(pair: Pair) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    pair.write(pair.here, "shut/a", "x")
    pair.sync()
    (pair.here / "shut").chmod(0)
    try:
        report = pair.sync()
    finally:
        (pair.here / "shut").chmod(0o755)
    assert "shut" in report.problems
    assert (pair.there / "shut/a").exists()
    assert pair.sync().up == ()


def test_nothing_passes_through_a_linked_folder(pair: Pair, tmp_path: Path) -> None:
    pair.write(pair.here, "sub/a", "x")
    pair.sync()
    outside = tmp_path / "outside"
    (pair.there / "sub").rename(outside)
    (pair.there / "sub").symlink_to(outside)
    pair.write(pair.here, "sub/a", "edited")
    pair.write(pair.here, "sub/b", "new")
    pair.sync()
    assert sorted(path.name for path in outside.iterdir()) == ["a"]
    assert (outside / "a").read_text() == "x"


def test_dry_run_touches_nothing_and_says_what_would_happen(pair: Pair) -> None:
    pair.write(pair.here, "a", "x")
    report = pair.sync(dry_run=True)
    assert sorted(report.up) == ["a", "colab-remote.toml"]
    assert not pair.there.exists()


def passed(pair: Pair) -> int:
    """Bytes that one sync takes, both ways."""
    counted: list[Counted] = []

    def count(stream: Stream) -> Stream:
        counted.append(Counted(stream))
        return counted[0]

    assert pair.sync(through=count).problems == {}
    assert tree(pair.there) == tree(pair.here)
    return counted[0].bytes


def test_of_a_large_file_only_what_changed_travels(pair: Pair) -> None:
    old = random.Random(1).randbytes(4_000_000)
    (pair.here / "large").write_bytes(old)
    assert passed(pair) > len(old)
    for side in (pair.here, pair.there):
        old += b"appended" * 100
        (side / "large").write_bytes(old)
        assert passed(pair) < 40_000
        old = old[:2_000_000] + b"changed" * 1000 + old[2_007_000:]
        (side / "large").write_bytes(old)
        assert passed(pair) < 50_000
        old = old[:-1_000_000]
        (side / "large").write_bytes(old)
        assert passed(pair) < 40_000


def test_a_large_file_that_changes_on_its_way_is_settled_by_the_next_sync(pair: Pair) -> None:
    (pair.here / "large").write_bytes(bytes(4_000_000))
    pair.sync()
    (pair.here / "large").write_bytes(bytes(2_000_000) + b"x" * 2_000_000)
    answers: list[bytes] = []

    def meddle(stream: Stream) -> Stream:
        meddling = Counted(stream)
        real = meddling.sendall

        def send(data: bytes) -> None:
            if not answers and b"files_blocks" in data:
                answers.append(data)
                (pair.there / "large").write_bytes(b"y" * 4_000_000)
            real(data)

        meddling.sendall = send  # type: ignore[method-assign]
        return meddling

    assert "large" in pair.sync(through=meddle).problems
    assert (pair.there / "large").read_bytes() == b"y" * 4_000_000
    assert [conflict.path for conflict in pair.sync().conflicts] == ["large"]


def test_long_names_of_many_files_fit_into_what_the_runtime_tells(pair: Pair) -> None:
    folder = pair.there / ("d" * 200) / ("e" * 200)
    folder.mkdir(parents=True)
    for number in range(1200):
        (folder / f"{number}{'f' * 200}").touch()
    assert len(pair.sync(adopt=True).down) == 1200


def test_what_a_killed_process_left_is_swept(pair: Pair) -> None:
    pair.sync()
    for side in (pair.here, pair.there):
        (side / ".colab-remote-partial-x").write_text("half")
    report = pair.sync()
    assert tree(pair.here) == tree(pair.there)
    assert list(tree(pair.here)) == ["colab-remote.toml"]
    assert report.down == ()


def test_two_syncs_at_once_the_second_says_who_holds_it(pair: Pair) -> None:
    pair.sync()
    lock = pair.here / ".colab-remote" / "lock"
    code = (
        "import sys, pathlib; from colab_remote.laptop.lock import hold\n"
        "with hold(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(Refused, match=f"process {holder.pid}, since "), hold(lock, patience=0.1):
        pass
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    pair.sync()


def test_state_of_a_newer_version_is_refused_unharmed(pair: Pair) -> None:
    pair.sync()
    (state,) = (pair.here / ".colab-remote" / "state").iterdir()
    newer = json.dumps({"format": 2})
    state.write_text(newer)
    with pytest.raises(Refused, match="newer colab-remote"):
        pair.sync()
    assert state.read_text() == newer
