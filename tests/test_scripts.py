"""The newcomer's first command, on a fresh clone with an empty HOME."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parent.parent


def still_running(folder: Path) -> list[list[str]]:
    """Command lines of processes that have to do with `folder`."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
        if any(str(folder) in word for word in words):
            found.append(words)
    return found


@pytest.mark.timeout(600)
def test_quickstart_trains_a_model_and_leaves_nothing_behind(tmp_path: Path) -> None:
    clone, home = tmp_path / "clone", tmp_path / "home"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    home.mkdir()
    # pip asks `rustc` for its version, which makes rustup's folder where there is a rustup.
    elsewhere = {"PIP_CACHE_DIR": str(tmp_path / "cache"), "RUSTUP_HOME": str(tmp_path / "rustup")}
    env = {**os.environ, "HOME": str(home), **elsewhere}
    before = set(clone.iterdir())

    done = subprocess.run(["scripts/quickstart"], cwd=clone, env=env, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-4000:]
    for word in ("trained", "home", "steps", "next", "colab-remote notebook", "colab-remote connect"):
        assert word in done.stdout
    accuracy = float(done.stdout.split("test accuracy ")[1].split()[0])
    assert accuracy > 0.95
    checkpoint = Path(done.stdout.split("home")[1].split("\n")[0].strip())
    assert checkpoint.is_relative_to(clone / "demo" / "laptop")
    assert checkpoint.stat().st_size > 1000
    assert still_running(tmp_path) == []
    assert list(home.iterdir()) == []
    assert {path.name for path in set(clone.iterdir()) - before} <= {".venv", "build", "demo", "colab_remote.egg-info"}
