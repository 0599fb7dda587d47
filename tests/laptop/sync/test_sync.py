"""Sync between two real folders, with a real agent: what it promises for the plain cases and against bad ones."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from colab_remote.errors import Refused
from colab_remote.laptop.sync.lock import sync_lock
from tests.laptop.sync.conftest import Sides, tree

NAMES = ["a b", 'it\'s "quoted"', "-rf", "two\nlines", "한글", os.fsdecode(b"caf\xe9"), "tab\there", "$HOME", "*"]


def test_first_sync_makes_the_folder_with_everything_in_it(sides: Sides) -> None:
    sides.write(sides.here, "src/deep/model.py", "x")
    (sides.here / "run.sh").write_text("#!/bin/sh\n")
    (sides.here / "run.sh").chmod(0o755)
    (sides.here / "link").symlink_to("src/deep")
    (sides.here / "logs").mkdir()
    os.utime(sides.here / "run.sh", ns=(10**18, 10**18))
    report = sides.sync()
    assert tree(sides.there) == tree(sides.here)
    assert (sides.there / "run.sh").stat().st_mtime_ns == 10**18
    assert sorted(report.up) == ["colab-remote.toml", "link", "logs", "run.sh", "src/deep/model.py"]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_travels_both_ways_and_can_be_deleted(sides: Sides, name: str) -> None:
    sides.write(sides.here, f"up/{name}", "1")
    sides.sync()
    sides.write(sides.there, f"down {name}", "2")
    sides.sync()
    assert tree(sides.there) == tree(sides.here)
    (sides.here / f"down {name}").unlink()
    (sides.there / "up" / name).unlink()
    report = sides.sync()
    assert (report.deleted_there, report.deleted_here) == ((f"down {name}",), (f"up/{name}",))
    assert not (sides.there / f"down {name}").exists()


def test_a_second_sync_moves_nothing(sides: Sides) -> None:
    sides.write(sides.here, "a", "x")
    sides.sync()
    report = sides.sync()
    assert (report.up, report.down, report.sent, report.received) == ((), (), 0, 0)


def test_deletions_modes_links_and_folders_travel(sides: Sides) -> None:
    for name in ("gone", "mode", "becomes a link", "becomes a folder", "folder/becomes a file", "kept"):
        sides.write(sides.here, name, name)
    sides.sync()
    (sides.there / "gone").unlink()
    (sides.there / "mode").chmod(0o755)
    (sides.here / "becomes a link").unlink()
    (sides.here / "becomes a link").symlink_to("kept")
    (sides.here / "becomes a folder").unlink()
    sides.write(sides.here, "becomes a folder/in it", "x")
    shutil.rmtree(sides.there / "folder")
    sides.write(sides.there, "folder", "a file now")
    sides.sync()
    assert tree(sides.there) == tree(sides.here)
    assert (sides.here / "folder").read_text() == "a file now"
    assert os.access(sides.here / "mode", os.X_OK)
    assert not (sides.here / "gone").exists()


def test_a_folder_goes_with_its_last_file_but_not_with_what_is_ignored_in_it(sides: Sides) -> None:
    sides.write(sides.here, "a/b/c", "x")
    sides.write(sides.here, "d/e", "x")
    sides.sync()
    sides.write(sides.there, "d/__pycache__/e.pyc", "x")
    shutil.rmtree(sides.here / "a")
    shutil.rmtree(sides.here / "d")
    sides.sync()
    assert not (sides.there / "a").exists()
    assert (sides.there / "d/__pycache__/e.pyc").exists()
    assert sides.sync().down == ()
    assert not (sides.here / "d").exists()


def test_outputs_neither_go_up_nor_come_down_nor_are_deleted(sides: Sides) -> None:
    sides.write(sides.here, "saved/here.pt", "x")
    sides.sync()
    assert not (sides.there / "saved").exists()
    sides.write(sides.there, "saved/there.pt", "y")
    sides.sync()
    shutil.rmtree(sides.here / "saved")
    sides.sync()
    assert (sides.there / "saved/there.pt").read_text() == "y"


def test_secrets_and_caches_stay_unless_named(sides: Sides) -> None:
    for name in (".env", "key.pem", "id_rsa", ".git/config", ".venv/x", "node_modules/x", "src/__pycache__/x.pyc"):
        sides.write(sides.here, name, "x")
    sides.sync()
    assert list(tree(sides.there)) == ["colab-remote.toml"]
    (sides.here / ".gitignore").write_text("!.env\n!.git\n")
    sides.sync()
    assert list(tree(sides.there)) == [".env", ".gitignore", "colab-remote.toml"]


def test_a_new_ignore_rule_deletes_nothing_on_either_side(sides: Sides) -> None:
    sides.write(sides.here, "data.csv", "x")
    sides.write(sides.here, "notes/a.txt", "x")
    sides.sync()
    (sides.here / ".gitignore").write_text("data.csv\n")
    (sides.there / "notes" / ".gitignore").write_text("a.txt\n")
    report = sides.sync()
    assert (report.deleted_here, report.deleted_there) == ((), ())
    for side in (sides.here, sides.there):
        assert (side / "data.csv").exists()
        assert (side / "notes/a.txt").exists()


def test_settings_only_go_up(sides: Sides) -> None:
    sides.sync()
    (sides.there / "colab-remote.toml").write_text("[project]\ntrain = 'rm -rf ~'\n")
    report = sides.sync()
    assert "colab-remote.toml" in report.problems
    assert (sides.here / "colab-remote.toml").read_text() == ""
    sides.sync(prefer="remote")
    assert (sides.here / "colab-remote.toml").read_text() == ""


def test_another_projects_folder_and_an_unmarked_one_are_refused_until_adopted(sides: Sides) -> None:
    sides.write(sides.there, "sample_data/x", "1")
    with pytest.raises(Refused, match="has files and no mark"):
        sides.sync()
    sides.sync(adopt=True)
    assert (sides.here / "sample_data/x").read_text() == "1"
    shutil.copytree(sides.here, sides.here.parent / "other" / "digits")
    other = Sides(sides.here.parent / "other" / "digits", sides.workdir)
    with pytest.raises(Refused, match="another project") as refused:
        other.sync()
    assert str(sides.here) in refused.value.message
    assert str(other.here) in refused.value.message


def test_a_new_disk_gets_everything_and_deletes_nothing_here(sides: Sides) -> None:
    sides.write(sides.here, "a", "x")
    sides.sync()
    shutil.rmtree(sides.there)
    report = sides.sync()
    assert sorted(report.up) == ["a", "colab-remote.toml"]
    assert report.deleted_here == ()


@pytest.mark.parametrize("side", ["here", "there"])
def test_an_emptied_side_halts_and_prefer_decides(sides: Sides, side: str) -> None:
    for number in range(12):
        sides.write(sides.here, f"{number}", str(number))
    sides.sync()
    emptied = getattr(sides, side)
    for number in range(10):
        (emptied / str(number)).unlink()
    with pytest.raises(Refused, match="lost all or most"):
        sides.sync()
    sides.sync(prefer="remote" if side == "here" else "local")
    assert len(tree(sides.here)) == len(tree(sides.there)) == 13


def test_both_sides_edits_conflict_and_everything_else_goes_through(sides: Sides) -> None:
    sides.write(sides.here, "a", "0")
    sides.sync()
    sides.write(sides.here, "a", "here")
    sides.write(sides.there, "a", "there")
    sides.write(sides.here, "b", "1")
    report = sides.sync()
    assert [conflict.path for conflict in report.conflicts] == ["a"]
    assert (sides.there / "b").read_text() == "1"
    assert [conflict.path for conflict in sides.sync().conflicts] == ["a"]
    sides.sync(prefer="local")
    assert (sides.there / "a").read_text() == "here"


def test_an_edit_that_leaves_size_and_time_as_they_were_is_seen(sides: Sides) -> None:
    sides.write(sides.here, "a", "1")
    os.utime(sides.here / "a", ns=(10**18, 10**18))
    sides.sync()
    sides.write(sides.here, "a", "2")
    os.utime(sides.here / "a", ns=(10**18, 10**18))
    assert sides.sync().up == ("a",)


def test_special_files_and_links_that_leave_are_named_and_skipped(sides: Sides) -> None:
    os.mkfifo(sides.here / "fifo")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(sides.here / "socket"))
    server.close()
    targets = {"out": "../x", "absolute": str(sides.here / "colab-remote.toml"), "sly": "sub/../../x", "up": ".."}
    for name, target in targets.items():
        (sides.here / name).symlink_to(target)
    (sides.here / "sub").mkdir()
    (sides.here / "sub" / "fine").symlink_to("../colab-remote.toml")
    report = sides.sync()
    assert sorted(report.problems) == sorted(["fifo", "socket", *targets])
    assert sorted(report.up) == ["colab-remote.toml", "sub/fine"]


def test_an_unreadable_folder_is_named_and_not_taken_for_deleted(sides: Sides) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    sides.write(sides.here, "shut/a", "x")
    sides.sync()
    (sides.here / "shut").chmod(0)
    try:
        report = sides.sync()
    finally:
        (sides.here / "shut").chmod(0o755)
    assert "shut" in report.problems
    assert (sides.there / "shut/a").exists()
    assert sides.sync().up == ()


def test_nothing_passes_through_a_linked_folder(sides: Sides, tmp_path: Path) -> None:
    sides.write(sides.here, "sub/a", "x")
    sides.sync()
    outside = tmp_path / "outside"
    (sides.there / "sub").rename(outside)
    (sides.there / "sub").symlink_to(outside)
    sides.write(sides.here, "sub/a", "edited")
    sides.write(sides.here, "sub/b", "new")
    sides.sync()
    assert sorted(path.name for path in outside.iterdir()) == ["a"]
    assert (outside / "a").read_text() == "x"


def test_dry_run_touches_nothing_and_says_what_would_happen(sides: Sides) -> None:
    sides.write(sides.here, "a", "x")
    report = sides.sync(dry_run=True)
    assert sorted(report.up) == ["a", "colab-remote.toml"]
    assert not sides.there.exists()


def test_what_a_killed_process_left_is_swept(sides: Sides) -> None:
    sides.sync()
    for side in (sides.here, sides.there):
        (side / ".colab-remote-partial-x").write_text("half")
    report = sides.sync()
    assert tree(sides.here) == tree(sides.there)
    assert list(tree(sides.here)) == ["colab-remote.toml"]
    assert report.down == ()


def test_two_syncs_at_once_the_second_says_who_holds_it(sides: Sides) -> None:
    sides.sync()
    lock = sides.here / ".colab-remote" / "lock"
    code = (
        "import sys, pathlib; from colab_remote.laptop.sync.lock import sync_lock\n"
        "with sync_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(Refused, match=f"process {holder.pid}, since "), sync_lock(lock, patience=0.1):
        pass
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    sides.sync()


def test_state_of_a_newer_version_is_refused_unharmed(sides: Sides) -> None:
    sides.sync()
    (state,) = (sides.here / ".colab-remote" / "state").iterdir()
    newer = json.dumps({"format": 2})
    state.write_text(newer)
    with pytest.raises(Refused, match="newer colab-remote"):
        sides.sync()
    assert state.read_text() == newer
