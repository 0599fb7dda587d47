"""Start a host's line, and end it."""

from __future__ import annotations

import os
import socket
import subprocess
import time

from colab_remote.both.processes import kill_group, started
from colab_remote.both.whole import read_json
from colab_remote.errors import ColabRemoteError
from colab_remote.laptop.background import start_background
from colab_remote.laptop.line.door import Door, Gone, door, local_socket, read_line, send_line

_PATIENCE = 15.0  # seconds for a line to listen
_ENDING = 5.0  # seconds for one to end when told to


def start_line(host: str, found: Door) -> socket.socket:
    """A connection to the host's line after starting it. Raises ColabRemoteError where it does not come up."""
    process = _launch(host)
    deadline = time.monotonic() + _PATIENCE
    while True:
        stream = connect(found)
        if stream:
            return stream
        code = process.poll()
        if code and code > 0:
            raise _failed(host, found, f"ended with exit code {code}")
        if time.monotonic() > deadline:
            raise _failed(host, found, f"did not listen within {_PATIENCE:.0f} s")
        if code is not None:  # it left to another one, which has ended since, or it was killed
            process = _launch(host)
        time.sleep(0.005)


def connect(found: Door) -> socket.socket | None:
    """A connection to the line that listens there, None where none does."""
    stream = local_socket()
    try:
        stream.connect(os.fspath(found.socket))
        return stream
    except (FileNotFoundError, ConnectionError):
        stream.close()
        return None


def stop_line(host: str) -> None:
    """End the host's line, if there is one, and wait for it; one that does not answer is killed."""
    found = door(host)
    stream = connect(found)
    if stream:
        with stream:
            stream.settimeout(_ENDING)
            try:
                send_line(stream, {"open": "stop"})
                read_line(stream)
                if not stream.recv(1):
                    return
            except Gone:
                return
            except (OSError, ValueError):
                pass
    _kill(found)


def _launch(host: str) -> subprocess.Popen[bytes]:
    return start_background("colab_remote.laptop.line.server", host)


def _kill(found: Door) -> None:
    """Kill the process that the record names, if it is still that one."""
    try:
        kept = read_json(found.record)
        pid, start = int(kept["pid"]), int(kept["start"])
    except (OSError, ValueError, KeyError):
        return
    if start and started(pid) == start:
        kill_group(pid)


def _failed(host: str, found: Door, how: str) -> ColabRemoteError:
    return ColabRemoteError(
        f"the line to `{host}` {how}", f"its log is `{found.log}`; COLAB_REMOTE_LINE=0 does without a line"
    )
