"""The agent as it travels: once per content, on the oldest Python that may be there, whatever a shell prints first."""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sides import Loopback

from colab_remote.laptop.bundle import MARK, bundle
from colab_remote.laptop.conversation import Conversation


def find_python(version: str) -> str:
    """A Python of that version, or skip."""
    pyenv = glob.glob(f"{Path.home()}/.pyenv/versions/{version}.*/bin/python3")
    found = pyenv[0] if pyenv else shutil.which(f"python{version}") or "false"
    # What is on PATH may be a shim that stands for another version, or for none.
    told = subprocess.run(
        [found, "-c", "import sys; print(sys.executable, sys.version)"], capture_output=True, text=True
    )
    executable, _, number = told.stdout.partition(" ")
    if not number.startswith(f"{version}."):
        pytest.skip(f"needs Python {version}: pyenv install {version}")
    return executable


@contextmanager
def started(state: Path, python: str = sys.executable) -> Iterator[socket.socket]:
    """What the far shell does with the command, `python3` being `python`; our end of its stdin and stdout."""
    ours, theirs = socket.socketpair()
    shelf = state.parent / "bin"
    shelf.mkdir(exist_ok=True)
    if not (shelf / "python3").exists():
        (shelf / "python3").symlink_to(python)
    env = {"PATH": f"{shelf}:/usr/bin:/bin", "HOME": str(state.parent), "COLAB_REMOTE_STATE": str(state)}
    process = subprocess.Popen(
        ["sh", "-c", bundle().command()], stdin=theirs.fileno(), stdout=theirs.fileno(), env=env, cwd=state.parent
    )
    theirs.close()
    ours.settimeout(20)
    try:
        yield ours
    finally:
        ours.close()
        process.wait(20)


def line(stream: socket.socket) -> bytes:
    """The next line, byte by byte, so that nothing after it is taken."""
    said = b""
    while not said.endswith(b"\n"):
        piece = stream.recv(1)
        assert piece, said
        said += piece
    return said


def send_and_greet(stream: socket.socket) -> None:
    """The first start: the archive is asked for, then the agent greets."""
    assert line(stream) == bundle().needed
    send(stream)


def send(stream: socket.socket) -> None:
    """What was asked for, after which the agent greets."""
    stream.sendall(bundle().archive)
    assert line(stream) == bundle().greeting


@pytest.mark.parametrize("version", ["3.9", "3.11", "3.13"])
def test_it_runs_on_every_python_from_3_9_on(tmp_path: Path, version: str) -> None:
    with started(tmp_path / "state", find_python(version)) as stream:
        send_and_greet(stream)
        said = Conversation(stream, Loopback("here")).ask("machine", workdir=str(tmp_path)).result
        assert said["python"].startswith(f"{version}.")


def test_it_is_sent_once(tmp_path: Path) -> None:
    for start in (send_and_greet, lambda stream: line(stream) == bundle().greeting or pytest.fail("sent again")):
        with started(tmp_path / "state") as stream:
            start(stream)
            Conversation(stream, Loopback("here")).ask("ping")
    assert [path.name for path in (tmp_path / "state" / "agent").iterdir()] == [bundle().hash]


def test_two_at_once_do_not_spoil_each_other(tmp_path: Path) -> None:
    with started(tmp_path / "state") as one, started(tmp_path / "state") as other:
        for stream in (one, other):
            assert line(stream) == bundle().needed
        threads = [threading.Thread(target=send, args=(stream,)) for stream in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for stream in (one, other):
            Conversation(stream, Loopback("here")).ask("ping")
    assert [path.name for path in (tmp_path / "state" / "agent").iterdir()] == [bundle().hash]


def test_a_transfer_that_was_cut_leaves_nothing_that_runs(tmp_path: Path) -> None:
    with started(tmp_path / "state") as stream:
        assert line(stream) == bundle().needed
        stream.sendall(bundle().archive[:-1])
    assert list((tmp_path / "state").rglob("*.py")) == []
    with started(tmp_path / "state") as stream:
        send_and_greet(stream)


def test_modules_in_the_home_folder_shadow_nothing(tmp_path: Path) -> None:
    for name in ("json", "zlib", "runpy", "pathspec", "colab_remote"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    with started(tmp_path / "state") as stream:
        send_and_greet(stream)
        Conversation(stream, Loopback("here")).ask("ping")


def test_a_python_too_old_says_its_version(tmp_path: Path) -> None:
    with started(tmp_path / "state", find_python("3.6")) as stream:
        assert line(stream).startswith(MARK + b"python 3.6.")


def test_a_full_or_forbidden_disk_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    with started(tmp_path / "state") as stream:
        assert line(stream) == bundle().needed
        stream.sendall(bundle().archive)
        assert line(stream).startswith(MARK + b"cannot ")


def test_the_command_is_one_line_that_any_shell_takes() -> None:
    command = bundle().command()
    assert command.count("'") == 2
    assert command.isascii()
    assert command.isprintable()
    assert not set("\\$`!") & set(command)


def test_an_archive_is_the_same_whenever_it_is_packed() -> None:
    program = "from colab_remote.laptop.bundle import bundle; print(bundle().hash)"
    hashes = [
        subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True)
        for seed in ("1", "2")
    ]
    assert hashes[0].stdout == hashes[1].stdout == f"{bundle().hash}\n".encode()
