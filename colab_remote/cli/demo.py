"""`colab-remote demo`: the commands a user types, typed for them, on one machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from colab_remote.cli.output import output, reports
from colab_remote.errors import ColabRemoteError, Refused

_MARK = ".colab-remote-demo"
_NOT_OURS = ("COLAB_REMOTE_", "XDG_", "SSH_")


@click.command()
@click.argument("folder", default="demo", type=click.Path(path_type=Path, file_okay=False))
@reports
def demo(folder: Path) -> None:
    """The whole way on this machine, no account needed.

    FOLDER (`demo` unless told otherwise) gets a `laptop`, which is the home folder of one side, and a `runtime`,
    which plays Colab. Both are made by the commands that you would type, and everything is shut down at the end.
    """
    from colab_remote.runtime.wanted import require_linux

    require_linux()
    stage = _set_stage(folder.absolute())
    with stage.runtime() as ticket:
        with stage.step("connect"):
            stage.type("connect", ticket, "--open", "none")
        stage.type("new", str(stage.project), "--template", "pytorch")
        with stage.step("sync"):
            stage.type("sync", str(stage.project))
        with stage.step("train"), stage.stopping_jobs():
            stage.type("train", str(stage.project))
    _tell(stage)


@dataclass(frozen=True, slots=True)
class Stage:
    """Two sides on one machine: where each keeps its things, and the seconds each step took."""

    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def laptop(self) -> Path:
        """The home folder of the side that plays the laptop."""
        return self.folder / "laptop"

    @property
    def project(self) -> Path:
        """The project on the laptop."""
        return self.laptop / "digits"

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside as the step `name`."""
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started

    def type(self, *words: str) -> None:
        """Show a command as a user would type it and run it, its output on our terminal."""
        output().say(f"\n$ colab-remote {_shown(words)}")
        code = subprocess.run(
            _argv(words), env=_environment(self.laptop), cwd=self.laptop, stdout=sys.stderr
        ).returncode
        if code:
            raise ColabRemoteError(f"`colab-remote {words[0]}` ended with {code}", "what it printed is above")

    def ask(self, *words: str) -> dict[str, Any]:
        """Run a command that reports and return its document."""
        output().say(f"\n$ colab-remote {_shown(words)}")
        done = subprocess.run(
            _argv([*words, "--json"]), env=_environment(self.laptop), cwd=self.laptop, stdout=subprocess.PIPE
        )
        if done.returncode:
            raise ColabRemoteError(f"`colab-remote {words[0]}` ended with {done.returncode}", "what it said is above")
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    @contextmanager
    def runtime(self) -> Iterator[str]:
        """Launch a runtime, hand out its ticket, and shut it down whatever happens."""
        state, content = str(self.folder / "runtime" / "state"), str(self.folder / "runtime" / "content")
        self.ask("notebook", str(self.laptop / "colab.ipynb"))
        key = self.laptop / ".ssh" / "colab-remote" / "id_ed25519.pub"
        launch = ("launch", "--tunnel", "direct", "--state-dir", state, "--workdir", content)
        try:
            with self.step("launch"):
                ticket = self.ask(*launch, "--authorized-key", str(key))["ticket"]
            yield ticket
        finally:
            if "connect" in self.seconds:
                self.type("disconnect", "colab")
            self.type("shutdown", "--state-dir", state)

    @contextmanager
    def stopping_jobs(self) -> Iterator[None]:
        """Stop what still trains if we are interrupted: a job survives everything else by design."""
        try:
            yield
        except BaseException:
            self.type("stop", "--grace", "2")
            raise


def _set_stage(folder: Path) -> Stage:
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise Refused(f"`{folder}` is not empty, and not from an earlier demo", "name another folder")
    shutil.rmtree(folder, ignore_errors=True)
    stage = Stage(folder)
    for place in (stage.laptop, folder / "runtime" / "content"):
        place.mkdir(parents=True)
    (folder / _MARK).touch()
    return stage


def _tell(stage: Stage) -> None:
    metrics = max(stage.project.glob("saved/**/metrics.jsonl"), key=os.path.getmtime)
    last = json.loads(metrics.read_text("utf-8").splitlines()[-1])
    best = metrics.with_name("best.pt")
    steps = " · ".join(f"{name} {seconds:.1f}" for name, seconds in stage.seconds.items())
    output().report(
        {"test_accuracy": last["test_accuracy"], "checkpoint": str(best), "seconds": stage.seconds},
        (
            "",
            f"trained    a small CNN on 1,797 handwritten digits, test accuracy {last['test_accuracy']:.3f}",
            f"home       {best}",
            f"steps      {steps} s",
            "next       colab-remote notebook colab.ipynb      open it in Colab and run its cell",
            '           colab-remote connect "..."             with the line it prints',
        ),
    )


def _argv(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "colab_remote", *words]


def _environment(home: Path) -> Mapping[str, str]:
    """A fresh user's environment: HOME is `home`, nothing of ours or of the desktop's is left."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    return {**kept, "HOME": str(home), "USERPROFILE": str(home)}


def _shown(words: Sequence[str]) -> str:
    return " ".join(f'"{word}"' if set(word) & set(" #;&|()") else word for word in words)
