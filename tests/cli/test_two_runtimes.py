"""Two runtimes side by side, worked on from one project."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sides import Laptop, Runtime, free_port, started_sshd
from vm import lose

TRIALS = 6
GRACE = 4  # seconds

pytest.importorskip("optuna", reason="Optuna is not installed")


def known_as(laptop: Laptop, name: str, runtime: Runtime) -> None:
    runtime.admit(laptop.public_line())
    done = laptop("connect", runtime.ticket, "--name", name, "--open", "none")
    assert done.returncode == 0, done.stderr


def searching(laptop: Laptop) -> Path:
    """A project whose training is a small search."""
    project = laptop.home / "digits"
    assert laptop("new", str(project)).returncode == 0
    config = json.loads((project / "config.json").read_text())
    config["trainer"] |= {"epochs": 2, "plots": False}
    (project / "config.json").write_text(json.dumps(config))
    (project / "space.json").write_text('{"optimizer.args.lr": {"low": 0.001, "high": 0.01, "log": true}}')
    toml = project / "colab-remote.toml"
    search = f"{sys.executable} search.py -c config.json --trials {TRIALS} --grace {GRACE}"
    toml.write_text(re.sub("train .*\n", f'train = "{search}"\n', re.sub("setup .*\n", "", toml.read_text())))
    return project


def test_a_search_over_two_runtimes_one_of_which_is_killed_ends_with_all_its_trials(
    laptop: Laptop, tmp_path: Path
) -> None:
    project, port = searching(laptop), free_port()
    serve = [sys.executable, "search.py", "--serve", str(port)]
    with (
        started_sshd(tmp_path / "a") as a,
        started_sshd(tmp_path / "b") as b,
        subprocess.Popen(serve, cwd=project, env=laptop.env) as server,
    ):
        trainings = []
        for name, runtime in (("a", a), ("b", b)):
            known_as(laptop, name, runtime)
            far = free_port()
            words = ("train", "--host", name, "-e", "OMP_NUM_THREADS=1", "--", "--storage", f"grpc://localhost:{far}")
            forward = laptop.started("forward", "--reverse", f"{far}:{port}", "--host", name)
            trainings.append((laptop.started(*words, cwd=project), forward))
        (on_a, _), (on_b, _) = trainings
        assert on_b.stdout
        assert any("trial" in line for line in on_b.stdout), on_b.communicate()[1]
        listed = laptop("jobs").stdout
        assert re.findall(r"^digits-\d +(a|b) +running", listed, re.MULTILINE) in (["a", "b"], ["b", "a"])
        lose(tmp_path / "b")
        said, errors = on_a.communicate(timeout=120)
        assert on_a.returncode == 0, errors
        for training, forward in trainings:
            for process in (training, forward):
                process.kill()
                process.communicate()
        server.kill()
    ask = (
        "import sys, optuna; study = optuna.load_study(study_name='search', storage='sqlite:///saved/search.db');"
        "print(*(trial.state.name for trial in study.trials))"
    )
    states = subprocess.check_output([sys.executable, "-c", ask], cwd=project, text=True).split()
    assert states.count("COMPLETE") + states.count("PRUNED") == TRIALS
    assert len(states) - TRIALS == states.count("FAIL") <= 1
    assert said.count("trial ") < TRIALS, "the other one had its share"
    assert (project / "saved/best.json").exists()
