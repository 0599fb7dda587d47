"""A project: which folder is one, what its settings say, and that a copy is another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from colab_remote.errors import Refused
from colab_remote.laptop.project import (
    find_project,
    load_project,
    read_settings,
    remember_host,
    remembered_host,
    require_project,
    safe_name,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with settings that say nothing."""
    folder = tmp_path / "my project"
    folder.mkdir()
    (folder / "colab-remote.toml").touch()
    return folder


def test_every_key_may_be_left_out(root: Path) -> None:
    project = require_project(root)
    assert (project.root, project.name, project.keep, project.budget) == (root, "my project", 3, "auto")
    assert project.outputs == ("saved/",)
    assert project.train is None


def test_settings_are_read_with_a_byte_order_mark(root: Path) -> None:
    text = '[project]\nname = "한글"\ntrain = "python3 t.py"\nkeep = 5\n[sync]\nexclude = ["data/"]\nbudget = "800MB"\n'
    (root / "colab-remote.toml").write_text(text, encoding="utf-8-sig")
    project = load_project(root)
    assert (project.name, project.train, project.keep) == ("한글", "python3 t.py", 5)
    assert (project.exclude, project.budget) == (("data/",), "800MB")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[project", "is no TOML", "correct it"),
        ("[projct]", "`projct`", "did you mean `project`?"),
        ("[project]\ntrian = 'x'", "`project.trian`", "did you mean `train`?"),
        ("[sync]\nzzz = 1", "`sync.zzz`", "known here: `exclude`, `budget`"),
        ("project = 1", "`project` in .* must be a table", "correct it"),
        ("[project]\nkeep = '3'", "`project.keep` in .* must be a whole number", "correct it"),
        ("[project]\nkeep = true", "`project.keep` in .* must be a whole number", "correct it"),
        ("[project]\nkeep = 0", "`project.keep` in .* less than 1", "newest"),
        ("[project]\noutputs = 'saved'", "`project.outputs` in .* must be a list of texts", "correct it"),
        ("[project]\noutputs = [1]", "`project.outputs` in .* holds `1`", "correct it"),
        ("[project]\noutputs = ['../x']", "leaves the project", "inside"),
        ("[project]\noutputs = ['/x']", "leaves the project", "inside"),
        ("[project]\nname = 'a/b'", "cannot be a project's name", "folder"),
        ("[project]\nname = '..'", "cannot be a project's name", "folder"),
        ('[project]\nname = "a\\nb"', "cannot be a project's name", "folder"),
        ("[sync]\nbudget = 'much'", "is no amount", "auto"),
    ],
)
def test_a_wrong_key_is_named_with_its_path(root: Path, text: str, message: str, hint: str) -> None:
    (root / "colab-remote.toml").write_text(text)
    with pytest.raises(Refused, match=message) as refused:
        read_settings(root / "colab-remote.toml")
    assert hint in refused.value.hint


def test_the_nearest_marked_folder_upwards_is_the_project(root: Path) -> None:
    (root / "deep" / "er").mkdir(parents=True)
    assert require_project(root / "deep" / "er").root == root
    (root / "deep" / ".git").mkdir()
    assert require_project(root / "deep" / "er").root == root / "deep"


def test_a_home_folder_is_never_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "colab-remote.toml").touch()
    (tmp_path / "sub").mkdir()
    assert find_project(tmp_path) is None
    assert find_project(tmp_path / "sub") is None
    with pytest.raises(Refused, match="lies in no project") as refused:
        require_project(tmp_path)
    assert "colab-remote init" in refused.value.hint


def test_the_root_of_the_disk_is_never_one() -> None:
    assert find_project(Path("/")) is None


def test_the_id_stays_and_a_copy_gets_another(root: Path) -> None:
    first = load_project(root)
    assert load_project(root).id == first.id
    assert len(first.id) == 32
    moved = root.rename(root.parent / "moved")
    assert load_project(moved).id == first.id
    copy = shutil.copytree(moved, root.parent / "copy")
    assert load_project(copy).id != first.id
    assert load_project(moved).id == first.id


def test_a_disk_that_was_away_may_come_back_under_another_number(root: Path) -> None:
    first = load_project(root)
    record = root / ".colab-remote" / "project.json"
    record.write_text(record.read_text().replace(f'"device": {root.stat().st_dev}', '"device": 1'))
    assert load_project(root).id == first.id
    assert load_project(root.rename(root.parent / "moved")).id != first.id


def test_the_state_folder_ignores_itself(root: Path) -> None:
    load_project(root)
    assert (root / ".colab-remote" / ".gitignore").read_text() == "*\n"
    assert (root / ".colab-remote").stat().st_mode & 0o777 == 0o700


def test_the_host_is_remembered_and_what_we_do_not_know_is_kept(root: Path) -> None:
    project = load_project(root)
    assert remembered_host(project) is None
    record = root / ".colab-remote" / "project.json"
    record.write_text(record.read_text().replace('"id"', '"later": 1, "id"'))
    remember_host(project, "lab")
    assert remembered_host(load_project(root)) == "lab"
    assert '"later": 1' in record.read_text()


@pytest.mark.parametrize(
    ("folder", "name"), [("a b", "a b"), (".hidden", "hidden"), ("a\nb", "ab"), ("...", "project"), ("한글", "한글")]
)
def test_a_name_is_made_of_a_folders(folder: str, name: str) -> None:
    assert safe_name(folder) == name
