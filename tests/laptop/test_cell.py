"""What the cell installs: what this laptop has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sides import Laptop

COMMIT = "0123456789012345678901234567890123456789"


def installed(folder: Path, origin: dict[str, Any] | None) -> str:
    """A PYTHONPATH on which colab-remote 9.9 came from there, as pip records it (PEP 610)."""
    described = folder / "site" / "colab_remote-9.9.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: colab-remote\nVersion: 9.9\n")
    if origin:
        (described / "direct_url.json").write_text(json.dumps(origin))
    return str(described.parent)


def from_git(url: str) -> dict[str, Any]:
    return {"url": url, "vcs_info": {"vcs": "git", "commit_id": COMMIT}}


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, "!pip install -q colab-remote==9.9"),
        (
            from_git("https://github.com/me/it.git"),
            f"!pip install -q 'colab-remote @ git+https://github.com/me/it.git@{COMMIT}'",
        ),
    ],
)
def test_the_release_or_the_commit_that_is_here(
    laptop: Laptop, tmp_path: Path, origin: dict[str, Any] | None, line: str
) -> None:
    done = laptop("cell", "--tunnel", "ngrok-http", "--name", "lab", PYTHONPATH=installed(tmp_path, origin))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1:3] == [line, "import colab_remote"]
    assert lines[3].startswith("colab_remote.launch('ngrok-http', name='lab', authorized_keys='ssh-ed25519 ")
    assert not (laptop.home / "colab.ipynb").exists()


def test_a_password_in_the_commits_address_stays_here(laptop: Laptop, tmp_path: Path) -> None:
    origin = from_git("https://me:hunter2@github.com/me/it.git")
    done = laptop("cell", PYTHONPATH=installed(tmp_path, origin))
    assert "hunter2" not in done.stdout + done.stderr
    assert not [path for path in laptop.home.glob("*.ipynb") if "hunter2" in path.read_text("utf-8")]


def test_a_cell_too_long_to_paste_is_a_notebook(laptop: Laptop) -> None:
    done = laptop("cell", "--embed")
    assert (done.returncode, done.stdout) == (0, "colab.ipynb\n")
    assert "too long to paste" in done.stderr
    assert laptop("notebook", "other.ipynb", "--embed").returncode == 0
    assert (laptop.home / "colab.ipynb").read_bytes() == (laptop.home / "other.ipynb").read_bytes()


def test_somebodys_own_notebook_is_not_replaced(laptop: Laptop) -> None:
    own = laptop.home / "colab.ipynb"
    own.write_text('{"cells": [], "metadata": {}}')
    done = laptop("cell", "--embed")
    assert done.returncode == 2
    assert "`colab.ipynb` exists, and colab-remote did not write it" in done.stderr
    assert own.read_text() == '{"cells": [], "metadata": {}}'
