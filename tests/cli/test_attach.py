"""A person at a job's terminal, through a real sshd; the person's own terminal is a real pty."""

from __future__ import annotations

import ctypes
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sides import PATIENCE, Host

from colab_remote.cli.terminal import LEAVE, LeaveKeys


class Person:
    """Somebody at a terminal of 30 rows and 100 columns in which a command runs."""

    def __init__(self, host: Host, *words: str) -> None:
        self.terminal, its = pty.openpty()
        termios.tcsetwinsize(its, (30, 100))
        self.before = termios.tcgetattr(its)
        self.seen = b""
        command = [sys.executable, "-m", "colab_remote", *words]
        self.command = subprocess.Popen(
            command, env=host.laptop.env, cwd=host.laptop.home, stdin=its, stdout=its, stderr=its
        )
        self._its = its

    def types(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def sees(self, pattern: bytes) -> re.Match[bytes]:
        """What was shown since the last look, up to the pattern."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            assert select.select([self.terminal], [], [], deadline - time.monotonic())[0], self.seen
            self.seen += os.read(self.terminal, 1 << 16)
        self.seen = self.seen[found.end() :]
        return found

    def ends(self) -> int:
        """The command's exit code; the terminal is as it was."""
        deadline = time.monotonic() + PATIENCE
        while self.command.poll() is None:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.terminal], [], [], 0.05)[0]:
                self.seen += os.read(self.terminal, 1 << 16)
        assert termios.tcgetattr(self._its) == self.before
        return self.command.returncode

    def leaves(self) -> None:
        self.command.kill()
        self.command.wait()
        for end in (self.terminal, self._its):
            os.close(end)


@contextmanager
def person(host: Host, *words: str) -> Iterator[Person]:
    found = Person(host, *words)
    try:
        yield found
    finally:
        found.leaves()


SHELL = 'echo $$ $TERM $(stty size); while read line; do echo "[$line]"; done; exit 5'


def test_a_job_has_the_persons_terminal_is_left_and_come_back_to(host: Host) -> None:
    with person(host, "run", "--tty", "--name", "mine", "--", SHELL) as first:
        first.sees(rb"\d+ \S+ 24 80\r\n")
        first.types("한글\r".encode())
        first.sees("한글\r\n\\[한글\\]\r\n".encode())
        first.types(b"\x10x\r")
        first.sees(rb"\[\x10x\]")
        first.types(LEAVE)
        first.sees(rb"`mine` goes on")
        assert first.ends() == 0
    with person(host, "attach", "mine") as second:
        second.sees(rb"\[\x10x\]\r\n")
        second.types(b"again\r")
        second.sees(rb"\[again\]")
        second.types(b"\x04")
        assert second.ends() == 5


def test_the_windows_size_travels(host: Host) -> None:
    with person(host, "run", "--tty", "--", "trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done") as found:
        found.sees(rb"30 100\r\n")
        termios.tcsetwinsize(found.terminal, (40, 120))
        found.command.send_signal(signal.SIGWINCH)  # of a terminal that is not the command's controlling one
        found.sees(rb"40 120\r\n")
        found.types(b"\x03")
        assert found.ends() == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_whatever_ends_the_command_the_terminal_is_as_it_was(host: Host, number: int) -> None:
    with person(host, "run", "--tty", "--name", f"by-{number}", "--", "echo begun; sleep 60") as found:
        found.sees(rb"begun\r\n")
        found.command.send_signal(number)
        assert found.ends() == 128 + number
    assert host.laptop("stop", f"by-{number}", "--grace", "0").returncode == 0


def test_a_signal_that_does_not_wake_who_reads_ends_the_command_too(host: Host) -> None:
    with person(host, "run", "--tty", "--name", "unheard", "--", "echo begun; sleep 60") as found:
        found.sees(rb"begun\r\n")
        # As one does that comes just before the main thread waits for the network: it hears of it after that only.
        pid = found.command.pid
        another = max(int(task) for task in os.listdir(f"/proc/{pid}/task"))
        assert another != pid
        assert ctypes.CDLL(None).tgkill(pid, another, signal.SIGHUP) == 0
        assert found.ends() == 128 + signal.SIGHUP
    assert host.laptop("stop", "unheard", "--grace", "0").returncode == 0


def test_without_a_terminal_here_nothing_is_started(host: Host) -> None:
    done = host.laptop("run", "--tty", "--name", "never", "--", "true")
    assert done.returncode == 2
    assert "this is no terminal" in done.stderr
    assert "never" not in host.laptop("jobs").stdout


def test_a_job_without_a_terminal_is_followed_to_its_code(host: Host) -> None:
    identity = host.laptop("run", "--detach", "--", "seq 1 100; sleep 0.5; echo last; exit 6").stdout.strip()
    done = host.laptop("attach", identity)
    assert done.returncode == 6
    assert done.stdout.endswith("99\n100\nlast\n")


@given(st.lists(st.binary(max_size=3) | st.sampled_from([b"\x10", b"\x11"])))
def test_keys_come_through_until_the_person_leaves(pieces: list[bytes]) -> None:
    keys, sent, left = LeaveKeys(), b"", False
    for piece in pieces:
        if not left:
            send, left = keys(piece)
            sent += send
    before, found, _ = b"".join(pieces).partition(LEAVE)
    assert left == bool(found)
    assert sent == (before if left or not before.endswith(LEAVE[:1]) else before[:-1])
