"""Start a host's line, and end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing

from colab_remote.both.processes import kill_group, started
from colab_remote.both.whole import read_json
from colab_remote.errors import ColabRemoteError
from colab_remote.laptop.background import start_background
from colab_remote.laptop.hosts import Host
from colab_remote.laptop.line.door import Door, Gone, Local, door, read_line, send_line
from colab_remote.laptop.line.way import connect
from colab_remote.laptop.places import make_private

_PATIENCE = 15.0  # seconds for a line to listen
_ENDING = 5.0  # seconds for one to end when told to


def start_line(host: Host, found: Door) -> Local:
    """A stream to the host's line after starting it. Raises ColabRemoteError where it does not come up, and OSError.

    Asks for the passphrase of the host's key, where that needs one and ssh-agent does not hold it.
    """
    from colab_remote.laptop.keys import ask_passphrase  # here: a command on a warm line asks nobody

    passphrase = ask_passphrase(host.key)
    make_private(found.log.parent)
    os.close(os.open(found.log, os.O_WRONLY | os.O_CREAT, 0o600))  # of a failure its own process could tell nobody
    process = _launch(host.name, passphrase)
    deadline = time.monotonic() + _PATIENCE
    while True:
        stream = connect(found)
        if stream:
            return stream
        code = process.poll()
        if code and code > 0:
            raise _failed(host.name, found, f"ended with exit code {code}")
        if time.monotonic() > deadline:
            raise _failed(host.name, found, f"did not listen within {_PATIENCE:.0f} s")
        if code is not None:  # it left to another one, which has ended since, or it was killed
            process = _launch(host.name, passphrase)
        time.sleep(0.005)


def stop_line(host: str) -> None:
    """End the host's line, if there is one, and wait for it; one that does not answer is killed."""
    found = door(host)
    stream = connect(found)
    if stream:
        with closing(stream):
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


def since(pid: int) -> int:
    """What tells that process from a later one of its pid, 0 where there is none."""
    if sys.platform == "linux":
        return started(pid)
    import psutil

    try:
        return int(psutil.Process(pid).create_time() * 1000)
    except psutil.Error:
        return 0


def _launch(host: str, passphrase: str) -> subprocess.Popen[bytes]:
    return start_background("colab_remote.laptop.line.server", host, told=passphrase.encode("utf-8"))


def _kill(found: Door) -> None:
    """Kill the process that the record names, if it is still that one."""
    try:
        kept = read_json(found.record)
        pid, start = int(kept["pid"]), int(kept["start"])
    except (OSError, ValueError, KeyError):
        return
    if not start or since(pid) != start:
        return
    if sys.platform == "win32":
        os.kill(pid, signal.SIGTERM)  # which ends it there at once
    else:
        kill_group(pid)


def _failed(host: str, found: Door, how: str) -> ColabRemoteError:
    return ColabRemoteError(
        f"the line to `{host}` {how}", f"its log is `{found.log}`; COLAB_REMOTE_LINE=0 does without a line"
    )
