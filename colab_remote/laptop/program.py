"""A program whose stdin and stdout carry SSH, such as `ssh -W`."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from colab_remote.errors import ColabRemoteError, Unreachable
from colab_remote.laptop.forward import join

_WORDS = 1 << 16  # bytes of what it said last that are read
_ENDING = 5.0  # seconds that it may take to end by itself


def dial_program(argv: Sequence[str], timeout: float, reason: Callable[[str], ColabRemoteError]) -> socket.socket:
    """A stream to the sshd that the program leads to, once that has spoken; the program ends with the stream.

    Raises Unreachable after `timeout` seconds of silence, and what `reason` makes of its stderr where it ends.
    """
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, start_new_session=True
        )
        threading.Thread(target=join, args=(theirs, _Pipes(process)), daemon=True).start()
        ours.settimeout(timeout)
        try:
            spoke = ours.recv(1, socket.MSG_PEEK)  # an SSH server speaks first
        except TimeoutError:
            ours.close()
            raise Unreachable(f"`{argv[0]}` did not get through within {timeout:g} s") from None
        if spoke:
            return ours
        ours.close()
        words.seek(max(0, words.seek(0, os.SEEK_END) - _WORDS))
        raise reason(words.read().decode("utf-8", "replace").strip())


class _Pipes:
    """A program's stdin and stdout as a stream."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        assert process.stdout
        self._process, self._in, self._out = process, process.stdin, process.stdout

    def recv(self, count: int) -> bytes:
        return os.read(self._out.fileno(), count)

    def sendall(self, data: bytes) -> None:
        self._in.write(data)
        self._in.flush()

    def shutdown(self, how: int) -> None:
        """End it: SSH goes on in no direction alone. A program that outlives its stdin is killed."""
        with suppress(OSError):
            self._in.close()
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Let go of what it said."""
        self._out.close()
