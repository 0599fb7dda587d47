"""Windows' way to a line, by `multiprocessing.connection`: on this system over the Unix sockets that it has here."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import Client
from pathlib import Path

import pytest
from sides import PATIENCE, Host, Laptop, until

from colab_remote.both.processes import started
from colab_remote.laptop.line.door import Door, Gone, Local, read_line, send_line
from colab_remote.laptop.line.pipes import PipeListener, connect, listen, wait_for_hangup

# What `way` says on Windows, said here before anybody asks it.
_WAY = """
from colab_remote.laptop.line import pipes, way
way.connect, way.listen, way.wait_for_hangup = pipes.connect, pipes.listen, pipes.wait_for_hangup
"""


@pytest.fixture
def host_by_pipe(host: Host, tmp_path: Path) -> Iterator[Host]:
    """A laptop whose commands and lines meet as they do on Windows."""
    (tmp_path / "windows").mkdir()
    (tmp_path / "windows" / "sitecustomize.py").write_text(_WAY)
    laptop = Laptop(host.laptop.home, {**host.laptop.env, "PYTHONPATH": str(tmp_path / "windows")})
    yield Host(laptop, host.runtime)
    laptop("disconnect", "colab")


def test_a_line_works_by_pipe(host_by_pipe: Host, tmp_path: Path) -> None:
    laptop = host_by_pipe.laptop
    project = laptop.home / "digits"
    project.mkdir()
    (project / "colab-remote.toml").touch()
    (project / "big").write_bytes(os.urandom(3_000_000))
    assert laptop("jobs").returncode == 0
    (pid,) = laptop.lines()
    entrance = json.loads(next(Path(laptop.env["XDG_RUNTIME_DIR"]).rglob("*.sock")).read_text())
    assert len(bytes.fromhex(entrance["key"])) == 32
    following = laptop.started("run", "--no-sync", "--", "for i in 1 2 3; do echo $i; sleep 0.3; done")
    done = laptop("sync", cwd=project)
    assert done.returncode == 0, done.stderr
    assert (host_by_pipe.runtime.workdir / "digits" / "big").read_bytes() == (project / "big").read_bytes()
    assert following.communicate(timeout=PATIENCE)[0] == "1\n2\n3\n"
    by_ssh = subprocess.run(
        [
            "ssh",
            "-F",
            str(laptop.home / ".ssh" / "config"),
            "-o",
            _proxy(),
            "colab",
            "head -c 2000000 /dev/zero | wc -c",
        ],
        env=laptop.env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert by_ssh.stdout.strip() == "2000000", by_ssh.stderr
    assert json.loads(laptop("status", "--json").stdout)["line"]["pid"] == pid
    assert laptop("disconnect", "colab").returncode == 0
    until(lambda: not started(pid), "the line is still there")


def _proxy() -> str:
    return f"ProxyCommand={sys.executable} -m colab_remote proxy colab"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door("colab", str(tmp_path / "d"))


@pytest.fixture
def listener(door: Door) -> Iterator[PipeListener]:
    with closing(listen(door)) as listener:
        yield listener


def met(door: Door, listener: PipeListener) -> tuple[Local, Local]:
    """Two ends that know each other."""
    found: list[Local] = []

    def accept() -> None:
        stream, _ = listener.accept()
        assert read_line(stream) == {"open": "stat"}
        found.append(stream)

    thread = threading.Thread(target=accept)
    thread.start()
    ours = connect(door)
    assert ours
    send_line(ours, {"open": "stat"})
    thread.join(PATIENCE)
    return ours, found[0]


def send_all(end: Local, data: bytes) -> None:
    end.sendall(data)
    end.shutdown(socket.SHUT_WR)


def test_each_direction_ends_by_itself(door: Door, listener: PipeListener) -> None:
    ours, its = met(door, listener)
    data = os.urandom(300_000)
    sending = threading.Thread(target=send_all, args=(ours, data))
    sending.start()
    heard = b""
    while piece := its.recv(1000):
        heard += piece
    sending.join()
    assert heard == data
    its.sendall(b"after the end")
    assert ours.recv(99) == b"after the end"
    waiting = threading.Thread(target=wait_for_hangup, args=(its,))
    waiting.start()
    assert waiting.is_alive()
    ours.close()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()


def test_who_reads_sees_that_its_own_end_was_closed(door: Door, listener: PipeListener) -> None:
    ours, its = met(door, listener)
    failed: list[BaseException] = []

    def read() -> None:
        try:
            ours.recv(1)
        except OSError as error:
            failed.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    time.sleep(0.1)
    ours.shutdown(socket.SHUT_RDWR)
    reading.join(PATIENCE)
    assert not reading.is_alive()
    with pytest.raises((Gone, OSError)):
        read_line(its)


def test_a_deadline_ends_the_waiting(door: Door, listener: PipeListener) -> None:
    ours, _ = met(door, listener)
    ours.settimeout(0.05)
    with pytest.raises(TimeoutError):
        ours.recv(1)


def test_a_mute_client_keeps_nobody_out(door: Door, listener: PipeListener) -> None:
    address = json.loads(door.entrance.read_text())["address"]
    with Client(address) as mute:
        stream, _ = listener.accept()
        stream.settimeout(0.05)
        ours, its = met(door, listener)
        ours.sendall(b"x")
        assert its.recv(1) == b"x"
        assert not mute.closed


def test_who_does_not_have_the_key_is_not_heard(door: Door, listener: PipeListener) -> None:
    kept = json.loads(door.entrance.read_text())
    door.entrance.write_text(json.dumps({**kept, "key": "00" * 32}))
    refused: list[BaseException] = []

    def accept() -> None:
        stream, _ = listener.accept()
        try:
            stream.recv(1)
        except PermissionError as error:
            refused.append(error)
        stream.close()

    thread = threading.Thread(target=accept)
    thread.start()
    assert connect(door) is None
    thread.join(PATIENCE)
    assert refused
    assert door.entrance.stat().st_mode & 0o077 == 0


def test_a_door_where_nobody_listens_any_more_is_none(door: Door) -> None:
    assert connect(door) is None
    listen(door).close()
    assert connect(door) is None
    door.entrance.write_text("{}")
    assert connect(door) is None
