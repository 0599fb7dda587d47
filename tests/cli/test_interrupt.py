"""Ctrl-C at any moment: no traceback, nothing half-written, no process left, and the next try goes through."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sides import PATIENCE, Host, until

from colab_remote.both.whole import TEMPORARY

MOMENTS = 8
TOO_EARLY = "Could not import runpy module"  # says Python, and exits with 1, where it has not come to us yet
DRAW = random.Random(3)


def interrupted(host: Host, *words: str, cwd: Path, after: float) -> None:
    """Start a command, press Ctrl-C after so many seconds, and see that it ends at once and politely."""
    with host.laptop.started(*words, cwd=cwd) as command:
        time.sleep(after)
        command.send_signal(signal.SIGINT)
        _, errors = command.communicate(timeout=PATIENCE)
    if not (command.returncode == 1 and errors.startswith(TOO_EARLY)):
        assert command.returncode in (0, 130, -signal.SIGINT), errors
    assert "/colab_remote/" not in errors  # Python itself prints a traceback while it starts
    assert "error:" not in errors


# As on Windows, where a signal does not reach a main thread that waits.
WAITS = """
import signal, sys, threading, time
from colab_remote.cli.interrupt import heed_interrupts
heed_interrupts(0.2, "win32")
deaf = sys.argv[1] == "deaf"
if deaf:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
while True:
    try:
        print(flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        if not deaf:
            time.sleep(0.5)
            sys.exit(3)
"""


@contextlib.contextmanager
def waiting(kind: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits in its main thread, "deaf" to interrupts or "hearing" them."""
    with subprocess.Popen([sys.executable, "-c", WAITS, kind], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process


def test_a_main_thread_that_hears_no_interrupt_is_ended() -> None:
    with waiting("deaf") as process:

        def ended() -> bool:
            process.send_signal(signal.SIGINT)  # it may hear the first, on its way into the wait
            return process.poll() is not None

        until(ended)
        assert process.returncode == 130


def test_a_main_thread_that_hears_an_interrupt_takes_its_time() -> None:
    with waiting("hearing") as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 3


@pytest.fixture
def project(host: Host, request: pytest.FixtureRequest) -> Path:
    """A project of a hundred files."""
    root = host.laptop.home / str(request.node.name).replace("[", "-").replace("]", "")
    root.mkdir()
    (root / "colab-remote.toml").write_text('[project]\ntrain = "sleep 0.3; mkdir -p saved; echo 1 > saved/log"\n')
    for number in range(100):
        (root / f"file-{number}").write_text(f"{number}" * 1000)
    return root


@pytest.mark.parametrize("after", [DRAW.uniform(0.05, 1.2) for _ in range(MOMENTS)])
def test_a_sync_that_was_interrupted(host: Host, project: Path, after: float) -> None:
    interrupted(host, "sync", cwd=project, after=after)
    done = host.laptop("sync", cwd=project)
    assert done.returncode == 0, done.stderr
    there = host.runtime.workdir / project.name
    assert (there / "file-99").read_text() == "99" * 1000
    assert not [path for side in (project, there) for path in side.rglob(f"{TEMPORARY}*")]


@pytest.mark.parametrize("after", [DRAW.uniform(0.05, 1.5) for _ in range(MOMENTS)])
def test_a_training_that_was_interrupted(host: Host, project: Path, after: float) -> None:
    interrupted(host, "train", cwd=project, after=after)
    done = host.laptop("train", cwd=project)
    assert done.returncode == 0, done.stderr
    assert (project / "saved/log").read_text() == "1\n"


@pytest.mark.parametrize("after", [DRAW.uniform(0.05, 0.5) for _ in range(MOMENTS)])
def test_a_launch_that_was_interrupted(host: Host, tmp_path: Path, after: float) -> None:
    state = tmp_path / "state"
    key = str(host.laptop.ours / "id_ed25519.pub")
    words = ("--tunnel", "direct", "--state-dir", str(state), "--workdir", str(tmp_path), "--authorized-key", key)
    interrupted(host, "launch", *words, cwd=tmp_path, after=after)
    assert host.laptop("launch", *words).returncode == 0
    assert host.laptop("shutdown", "--state-dir", str(state)).returncode == 0
    left = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert not [words for words in left if any(str(state) in word for word in words or ())]
