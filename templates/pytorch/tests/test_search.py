"""A search is shared by workers, outlives those that are killed, and leaves a configuration that trains."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

optuna = pytest.importorskip("optuna", reason="Optuna is not installed")

from small import ROOT  # noqa: E402

from config import Refused, read_document  # noqa: E402
from run import run, start  # noqa: E402
from tuning.space import suggest, with_values  # noqa: E402
from tuning.study import open_storage  # noqa: E402

GRACE = 4.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of this project, made small."""
    document = read_document(ROOT / "config.json")
    document["arch"]["args"] = {"width": 4}
    document["data_loader"]["args"]["data_dir"] = str(ROOT / "data")
    document["trainer"] |= {"epochs": 2, "save_dir": str(tmp_path / "saved"), "plots": False}
    (tmp_path / "config.json").write_text(json.dumps(document))
    (tmp_path / "space.json").write_text(json.dumps({"optimizer.args.lr": {"low": 0.001, "high": 0.01, "log": True}}))
    return tmp_path / "config.json"


def started(config: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    argv = [sys.executable, str(ROOT / "search.py"), "-c", str(config), "--grace", str(GRACE), *words]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **environment}
    return subprocess.Popen(argv, cwd=config.parent, env=env, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def without_torch(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine that has no torch, as a laptop that only serves a study may be."""
    folder = tmp_path / "without torch"
    folder.mkdir()
    (folder / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")")
    return {"PYTHONPATH": str(folder)}


def test_a_killed_workers_trial_is_picked_up_by_another_through_a_port(
    config: Path, without_torch: dict[str, str]
) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    server = started(config, "--serve", port, **without_torch)
    words = ("--storage", f"grpc://localhost:{port}", "--trials", "3")
    try:
        endless = config.with_name("endless.json")
        endless.write_text(config.read_text().replace('"epochs": 2', '"epochs": 100000'))
        with started(endless, *words) as killed:
            assert killed.stdout is not None
            assert any("epoch" in line for line in killed.stdout)
            killed.send_signal(signal.SIGKILL)
        with started(config, *words) as worker:
            said = worker.communicate(timeout=120)[0]
        assert worker.returncode == 0
    finally:
        server.kill()
        server.communicate()
    study = optuna.load_study(study_name="search", storage=open_storage(f"sqlite:///{config.parent}/saved/search.db"))
    states = [trial.state.name for trial in study.trials]
    assert states.count("FAIL") == 1
    assert states.count("COMPLETE") + states.count("PRUNED") == len(states) - 1 == 3
    first, *others = study.trials
    assert first.params in [trial.params for trial in others]
    assert said.count("trial ") == 3
    best = read_document(config.parent / "saved/best.json")
    assert best["optimizer"]["args"]["lr"] == study.best_params["optimizer.args.lr"]
    assert run(*start(best, "cpu"))["test_accuracy"] > 0.2


@pytest.mark.parametrize(
    "span", [3, {"low": 1}, {"low": 2, "high": 1}, {"choices": []}, {"low": 0, "high": 1, "log": True}]
)
def test_a_space_that_means_nothing_is_named(span: Any) -> None:
    with pytest.raises(Refused, match=r"^the space's `optimizer.args.lr` must read like"):
        suggest(optuna.create_study().ask(), {"optimizer.args.lr": span})


def test_values_go_where_their_names_say() -> None:
    document = {"arch": {"args": {"width": 1}}}
    assert with_values(document, {"arch.args.width": 2})["arch"]["args"]["width"] == 2
    assert document["arch"]["args"]["width"] == 1
