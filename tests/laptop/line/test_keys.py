"""Keys that need a passphrase: asked for once, on a terminal, or left to ssh-agent."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sides import Laptop, Runtime, until

PASSPHRASE = "four words of mine"


@pytest.fixture
def key(laptop: Laptop, runtime: Runtime) -> Path:
    """A key that the runtime lets in, and that nobody can use without the passphrase."""
    return locked(laptop, runtime, "ed25519")


def locked(laptop: Laptop, runtime: Runtime, *kind: str) -> Path:
    path = laptop.home / f"key-{kind[0]}"
    subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", PASSPHRASE, "-f", str(path)], check=True)
    public = path.with_name(f"{path.name}.pub")
    runtime.admit(public.read_text())
    public.unlink()
    return path


@pytest.fixture
def agent(laptop: Laptop) -> Iterator[dict[str, str]]:
    """A real ssh-agent that holds nothing yet: the environment that leads to it."""
    where = Path(laptop.env["XDG_RUNTIME_DIR"], "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(where)], stdout=subprocess.DEVNULL) as process:
        until(where.exists, "no ssh-agent")
        yield {"SSH_AUTH_SOCK": str(where)}
        process.terminate()


def hand_over(key: Path, agent: dict[str, Any]) -> None:
    """`ssh-add`, told the passphrase as it wishes."""
    ask = key.with_name("ask")
    ask.write_text(f"#!/bin/sh\necho '{PASSPHRASE}'\n")
    ask.chmod(0o700)
    env = {**os.environ, **agent, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(["ssh-add", "-q", str(key)], env=env, check=True, stdin=subprocess.DEVNULL)


def at_a_terminal(laptop: Laptop, *words: str, answers: list[str]) -> tuple[int, str]:
    """Run a command on a terminal, answer each question for a passphrase; its code and all that it showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(laptop.home)
        os.execve(sys.executable, [sys.executable, "-m", "colab_remote", *words], laptop.env)
    shown = b""
    while piece := _read(terminal):
        shown += piece
        if piece.endswith(b": ") and b"passphrase of" in shown.rpartition(b"\n")[2]:
            os.write(terminal, f"{answers.pop(0)}\n".encode())
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux's way of saying that nobody is at the other end any more
        return b""


def test_it_is_asked_for_by_the_command_that_starts_the_line(laptop: Laptop, runtime: Runtime, key: Path) -> None:
    code, shown = at_a_terminal(
        laptop, "connect", runtime.ticket, "-i", str(key), "--open", "none", answers=["wrong", PASSPHRASE]
    )
    assert code == 0, shown
    assert shown.count("passphrase of") == 2
    code, shown = at_a_terminal(laptop, "status", answers=[PASSPHRASE])
    assert code == 0, shown
    assert shown.count("passphrase of") == 1
    assert PASSPHRASE not in shown
    done = laptop("status")
    assert done.returncode == 0, "nobody is asked on a warm line"
    (pid,) = laptop.lines()
    assert PASSPHRASE.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert PASSPHRASE.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    for path in (*laptop.home.rglob("*"), *Path(laptop.env["XDG_RUNTIME_DIR"]).rglob("*")):
        assert not path.is_file() or PASSPHRASE.encode() not in path.read_bytes(), f"it lies in {path}"


def test_wrong_answers_and_nobody_to_ask_are_refused(laptop: Laptop, runtime: Runtime, key: Path) -> None:
    words = ("connect", runtime.ticket, "-i", str(key), "--open", "none")
    code, shown = at_a_terminal(laptop, *words, answers=["no", "", "neither"])
    assert code == 2
    assert f"that is not the passphrase of `{key}`" in shown
    done = laptop(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs its passphrase" in done.stderr
    assert f"hint: `ssh-add {key}`" in done.stderr


@pytest.mark.parametrize("kind", [("ed25519",), ("ecdsa",), ("rsa", "-b", "2048", "-m", "PEM")])
def test_an_agent_that_holds_it_is_asked_instead(
    laptop: Laptop, runtime: Runtime, agent: dict[str, Any], kind: tuple[str, ...]
) -> None:
    key = locked(laptop, runtime, *kind)
    if kind[0] == "rsa":  # the old format says nothing of the public half
        public = subprocess.run(
            ["ssh-keygen", "-y", "-P", PASSPHRASE, "-f", str(key)], capture_output=True, text=True, check=True
        )
        key.with_name(f"{key.name}.pub").write_text(public.stdout)
    hand_over(key, agent)
    done = laptop("connect", runtime.ticket, "-i", str(key), "--open", "none", **agent)
    assert done.returncode == 0, done.stderr
    assert laptop("jobs", **agent).returncode == 0
    (pid,) = laptop.lines()
    assert laptop("jobs").returncode == 0, "the line has the agent, whoever asks"
    assert laptop.lines() == [pid]


def test_a_line_that_has_lost_its_agent_makes_room_for_one_that_asks(
    laptop: Laptop, runtime: Runtime, key: Path, agent: dict[str, Any]
) -> None:
    hand_over(key, agent)
    assert laptop("connect", runtime.ticket, "-i", str(key), "--open", "none", **agent).returncode == 0
    subprocess.run(["ssh-add", "-q", "-D"], env={**os.environ, **agent}, check=True)
    done = laptop("status", **agent)
    assert done.returncode == 2
    assert "needs its passphrase" in done.stderr
    code, shown = at_a_terminal(laptop, "status", answers=[PASSPHRASE])
    assert code == 0, shown
