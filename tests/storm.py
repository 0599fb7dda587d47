"""A training of the template under which the runtime, the laptop's process, or both die at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

from bad_network import BadNetwork
from sides import Laptop, Runtime, started_sshd, until
from vm import lose
from weights import newest, same_end

Victim = Literal["runtime", "laptop", "both"]
PATIENCE = 240.0  # seconds for a whole training, on a busy machine
NAME = "digits"  # the same for all, because a checkpoint knows it
# Long enough to die in, with a checkpoint every few steps.
SETTINGS = ("trainer.epochs=8", "trainer.save_steps=8", "arch.args.width=4", "trainer.plots=false")
# This Python, which has torch, whatever the shell over there makes of PATH. One thread: several may divide sums in
# another way, and wait for each other on a busy machine.
PYTHON = f"env OMP_NUM_THREADS=1 {sys.executable}"
TRAIN = " ".join([f"{PYTHON} train.py -d cpu", *(f"--set {setting}" for setting in SETTINGS)])
PROJECT = f"""
[project]
train  = "{TRAIN}"
resume = "{PYTHON} train.py -d cpu -r {{checkpoint}}"
"""


class Storm:
    """Trainings of one new project from one laptop, each on a runtime of its own; `folder` holds all of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        home = folder / "home"
        home.mkdir(parents=True)
        self.laptop = Laptop(home, {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(folder)})
        self.kills, self.runtimes, self.repeated = 0, 0, 0.0
        self.seconds = 0.0
        self._stack = ExitStack()

    def __enter__(self) -> Storm:
        self.whole = self._new_project("whole")
        began = time.monotonic()
        subprocess.run(
            TRAIN.split(), cwd=self.whole, env=_alone(), check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE
        )
        self.seconds = time.monotonic() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.runtimes:
            lose(self._place())
        self._stack.close()
        self.laptop.end_lines()

    def training(self, number: int, victim: Victim, kills: int) -> None:
        """One training that `kills` deaths of `victim` fall into; it must end as the undisturbed one did."""
        project = self._new_project(f"cut-{number}")
        self._connect(self._new_runtime().ticket)
        process = self._train(project)
        for _ in range(kills):
            time.sleep(self.random.uniform(0.2, 0.7) * self.seconds)
            if process.poll() is not None:
                break
            self.kills += 1
            process = self._kill(project, process, victim)
        said = process.communicate(timeout=PATIENCE)
        lose(self._place())
        assert process.returncode == 0, said
        assert same_end(self.whole / "saved", project / "saved"), f"training {number} ended otherwise: {said}"

    def away(self, seconds: float) -> None:
        """One training whose laptop has no network for so long, while another VM takes its runtime's place."""
        project, key = self._new_project("away"), self.folder / "host_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        first = self._new_runtime(key)
        with BadNetwork(("127.0.0.1", first.port)) as network:
            self._connect(first.ticket.replace(f":{first.port}/", f":{network.port}/"))
            process = self._train(project)
            until(lambda: newest(project / "saved"), "no checkpoint comes home")
            network.down()
            time.sleep(seconds / 2)
            lose(self._place())
            network.target = ("127.0.0.1", self._new_runtime(key).port)
            time.sleep(seconds / 2)
            network.up()
            said = process.communicate(timeout=PATIENCE)
        lose(self._place())
        assert process.returncode == 0, said
        assert "resume   saved/" in said[1], said
        assert same_end(self.whole / "saved", project / "saved"), f"it ended otherwise: {said}"

    def _kill(self, project: Path, process: subprocess.Popen[str], victim: Victim) -> subprocess.Popen[str]:
        if victim != "runtime":
            for pid in [process.pid, *self.laptop.lines()]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.communicate(timeout=PATIENCE)  # closes its pipes too
        if victim != "laptop":
            self._note_what_is_lost(project)
            lose(self._place())
            self._connect(self._new_runtime().ticket)
        return process if victim == "runtime" else self._train(project, "--resume")

    def _note_what_is_lost(self, project: Path) -> None:
        """How long before its end the runtime wrote the first checkpoint that has not come home."""
        at_home = newest(project / "saved")
        step = _step(at_home) if at_home else 0
        there = (self._place() / "content" / NAME / "saved").glob("*/*/step-*.pt")
        with suppress(OSError):
            lost = [path.stat().st_mtime for path in there if _step(path) > step]
            self.repeated = max([self.repeated, *(time.time() - written for written in lost)])

    def _train(self, project: Path, *more: str) -> subprocess.Popen[str]:
        resumes = more if (project / "saved").exists() else ()
        # Ended with this storm, however that ends: it would wait for its host for ever.
        return self._stack.enter_context(self.laptop.started("train", "--keep-going", *resumes, cwd=project))

    def _new_project(self, name: str) -> Path:
        project = self.laptop.home / name
        done = self.laptop("new", str(project), "--name", NAME)
        assert done.returncode == 0, done.stderr
        (project / "colab-remote.toml").write_text(PROJECT)
        return project

    def _new_runtime(self, host_key: Path | None = None) -> Runtime:
        self.runtimes += 1
        runtime = self._stack.enter_context(started_sshd(self._place(), host_key=host_key))
        runtime.admit(self.laptop.public_line())
        return runtime

    def _connect(self, ticket: str) -> None:
        done = self.laptop("connect", ticket, "--replace", "--open", "none")
        assert done.returncode == 0, done.stderr

    def _place(self) -> Path:
        return self.folder / f"runtime-{self.runtimes}"


def _alone() -> dict[str, str]:
    """An environment in which only the project's own modules can be imported beside what is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))
