"""Processes known by pid and start time, never by name: a pid alone may be another's by now."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

_SIGKILL = 9  # a name that type checkers for Windows do not know
_GONE = (b"Z", b"X")  # states of a process of which only remains are left


@cache
def boot_id() -> str:
    """What tells this boot of the machine from any other, empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def started(pid: int) -> int:
    """When the process started, in clock ticks since boot; 0 when there is none, or only its remains."""
    fields = _stat(pid)
    return 0 if not fields or fields[0] in _GONE else int(fields[19])


def alive(pid: object, start: object, boot: object) -> bool:
    """Whether the process that was recorded so still runs. A record may be damaged, and hold anything."""
    return isinstance(pid, int) and bool(start) and boot == boot_id() and started(pid) == start


def runs_from(folders: Iterable[str]) -> bool:
    """Whether a process's command line names something in a folder called as one of `folders`."""
    wanted = [os.fsencode(f"/{folder}/") for folder in folders]
    for commands in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            words = commands.read_bytes()
            if any(part in words for part in wanted):
                return True
    return False


def signal_group(group: int, number: int) -> bool:
    """Send a signal, 0 for none, to a process group; whether anything is left of it, if only of another user's."""
    try:
        os.kill(-group, number)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True


def kill_group(group: int) -> None:
    """End a process group at once."""
    signal_group(group, _SIGKILL)


def signal_session(leader: int, number: int) -> bool:
    """Send a signal, 0 for none, to all processes of the session that `leader` began; whether there is one."""
    # A shell with a terminal gives each of its own jobs a group; the leader's is reached whole, whatever forks now.
    found = signal_group(leader, number)
    for pid in _others_of(leader):
        found = True
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    return found


def kill_session(leader: int) -> None:
    """End a session's processes at once."""
    signal_session(leader, _SIGKILL)


def _others_of(leader: int) -> list[int]:
    """The live processes of that session that are not in its leader's group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        state, _, group, session = (_stat(int(folder.name)) or [b"Z", b"", b"", b""])[:4]
        if state not in _GONE and int(session) == leader != int(group):
            found.append(int(folder.name))
    return found


def _stat(pid: int) -> list[bytes]:
    """What the kernel tells of a process from its state on, nothing where there is none."""
    try:
        # proc(5): the name in parentheses may hold spaces and parentheses itself.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []
