"""The Lightning template as a user gets it: it passes its own tests, and `train --resume` goes on exactly."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from sides import PATIENCE, Host, Laptop, until

pytestmark = pytest.mark.skipif(find_spec("lightning") is None, reason="Lightning is missing: scripts/test brings it")


def alone() -> dict[str, str]:
    """An environment in which only the project's own modules can be imported beside what is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}


def made(laptop: Laptop, name: str) -> Path:
    """A fresh project of the template."""
    folder = laptop.home / name
    done = laptop("new", str(folder), "--template", "lightning", "--name", name)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.timeout(400)
def test_a_new_project_passes_its_own_tests_and_checks(laptop: Laptop) -> None:
    project = made(laptop, "mine")
    for words in ("pytest -q -p no:cacheprovider", "ruff check .", "ruff format --check ."):
        done = subprocess.run(
            [sys.executable, "-m", *words.split()], cwd=project, env=alone(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.timeout(300)
def test_killed_on_the_runtime_it_resumes_exactly(host: Host, request: pytest.FixtureRequest) -> None:
    project = made(host.laptop, request.node.name)
    config = json.loads((project / "config.json").read_text())
    config["model"]["network"]["init_args"]["width"] = 4
    config["run"] |= {"save_steps": 10, "keep": 100}
    config["trainer"] |= {"max_epochs": 2, "accelerator": "cpu"}
    (project / "config.json").write_text(json.dumps(config))
    # The runtime's login shell may know another Python: this one has Lightning, so there is nothing to set up.
    settings = (project / "colab-remote.toml").read_text().replace("python3 ", f"OMP_NUM_THREADS=1 {sys.executable} ")
    (project / "colab-remote.toml").write_text(re.sub("(?m)^setup .*", "", settings))
    with host.laptop.started("train", cwd=project) as training:
        assert training.stdout is not None
        while "epoch" not in training.stdout.readline():  # Lightning takes its time to start
            assert training.poll() is None
        until(lambda: list(project.glob("saved/*/*/step-*.ckpt")))
        training.send_signal(signal.SIGINT)
        training.communicate(timeout=PATIENCE)
    host.laptop("stop", "--grace", "0", cwd=project)
    with host.laptop.started("train", "--resume", cwd=project) as resumed:
        said = resumed.communicate(timeout=200)[1]
    assert resumed.returncode == 0, said
    assert "resume   saved/" in said
    (cut,) = project.glob("saved/*/*/metrics.jsonl")
    whole = subprocess.run(
        [sys.executable, "train.py", "fit", "-c", "config.json", "--run.save_dir", "whole/"],
        cwd=project,
        env=alone(),
        capture_output=True,
        text=True,
    )
    assert whole.returncode == 0, whole.stderr
    (undisturbed,) = project.glob("whole/*/*/metrics.jsonl")
    assert cut.read_text() == undisturbed.read_text()
