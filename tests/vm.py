"""A machine that tests make a runtime of with `launch`, and what is left of it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sides import Laptop


@dataclass(frozen=True)
class Vm:
    """A machine that becomes a runtime, and the laptop that it lets in."""

    user: Laptop
    laptop: Laptop
    state: Path
    workdir: Path

    def launch(self, *words: str, **environment: Any) -> subprocess.CompletedProcess[str]:
        """`colab-remote launch --tunnel direct`, `words` appended."""
        key = self.laptop.ours / "id_ed25519.pub"
        places = ("--state-dir", str(self.state), "--workdir", str(self.workdir))
        return self.user("launch", "--tunnel", "direct", *places, "--authorized-key", str(key), *words, **environment)

    def up(self, *words: str, **environment: str) -> dict[str, Any]:
        """What a launch that worked reports."""
        done = self.launch("--json", *words, **environment)
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def shutdown(self) -> subprocess.CompletedProcess[str]:
        return self.user("shutdown", "--state-dir", str(self.state))

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "runtime.json").read_text())
        return found

    def connect(self, ticket: str) -> None:
        done = self.laptop("connect", ticket, "--open", "none")
        assert done.returncode == 0, done.stderr


def lose(folder: Path) -> None:
    """A VM that goes away: every process of the runtime in `folder` gets SIGKILL, and its disk is gone."""
    found = {process for process in psutil.process_iter() if _belongs(process, str(folder))}
    for process in found.union(*map(_children, found)):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    shutil.rmtree(folder, ignore_errors=True)


def _belongs(process: psutil.Process, folder: str) -> bool:
    """Whether that place is named in how the process was started."""
    try:
        words = [*process.cmdline(), process.environ().get("COLAB_REMOTE_STATE", "")]
    except psutil.Error:
        return False
    return process.pid != os.getpid() and any(f"{folder}/" in word for word in words)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def ours_left(vm: Vm) -> list[int]:
    """The supervisors and servers that belong to that VM's user, by pid."""
    found = []
    for process in psutil.process_iter():
        try:
            if "colab_remote.runtime.supervisor" in process.cmdline() and process.environ()["HOME"] == str(
                vm.user.home
            ):
                found += [process.pid, *(child.pid for child in process.children())]
        except (psutil.Error, KeyError):
            continue
    return found


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as probe:
            probe.settimeout(1)
            return probe.recv(4) == b"SSH-"
    except OSError:
        return False
