"""What runs under a state folder, as its supervisor has recorded it: known, ended, and by one at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from colab_remote.both.processes import alive
from colab_remote.both.whole import NewerFormat, fits, read_json
from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.runtime.supervisor import RECORD

LOCK = "launch.lock"  # in the state folder: what shows that it is one
_ENDING = 15  # seconds that a supervisor may take to end what it started
_NEWER = "update colab-remote on this machine: pip install -U colab-remote"
# What a Runtime shows of it.
_SHAPE = {
    **dict.fromkeys(("wanted", "name", "user", "workdir", "fingerprint", "tunnel"), str),
    "sshd": int,
    "address": {**dict.fromkeys(("scheme", "host", "tunnel", "note"), str), "port": (int, type(None))},
    "took": {"sshd": float, "tunnel": float},
}


def present(state: Path) -> dict[str, Any] | None:
    """The record of what runs under `state`; None for nothing, or what only another version can read."""
    record = _running(state)
    return record if record and fits(record, _SHAPE) else None


def end(state: Path) -> bool:
    """End what an earlier launch started under `state`; whether there was anything."""
    import psutil

    from colab_remote.runtime.ending import end_tree

    record = _running(state)
    if record is None:
        return _end_left(state)
    try:
        supervisor = psutil.Process(record["pid"])
        supervisor.terminate()
        supervisor.wait(_ENDING)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        end_tree(record["pid"])
    return True


def refuse_within(state: Path) -> None:
    """Raise Refused in a session of what runs under `state`: to end that would end this process too."""
    import psutil

    if {parent.pid for parent in psutil.Process().parents()} & set(_children(_recorded(state))):
        raise Refused(
            "this is a session of the runtime that would be replaced, and would end with it before another is there",
            "launch in a cell of the notebook or in a shell of the machine's own",
        )


@contextmanager
def alone(state: Path) -> Iterator[int]:
    """One launch or shutdown at a time, by a lock's descriptor: the second waits, and finds what the first left."""
    if sys.platform != "linux":
        raise no_runtime()
    import fcntl

    try:
        with open(os.open(state / LOCK, os.O_RDWR | os.O_CREAT, 0o600), "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock.fileno()
    except OSError as error:
        raise ColabRemoteError(
            f"the state folder cannot be used: {error.strerror or error} at `{error.filename or state}`",
            f"remove what is in the way, or move `{state}` away, and launch again",
        ) from None


def no_runtime() -> Refused:
    """What is said on a laptop."""
    return Refused("a runtime is a Linux machine", "run this in Colab, or on a server")


def _recorded(state: Path) -> dict[str, Any]:
    """What a supervisor has recorded under `state`; empty for nothing, or nothing that can be read.

    Raises Refused where a newer version did.
    """
    try:
        return read_json(state / RECORD)
    except NewerFormat as error:
        raise Refused(str(error), _NEWER) from None
    except (OSError, ValueError):
        return {}


def _running(state: Path) -> dict[str, Any] | None:
    """The record of the supervisor that runs under `state`, None for none, known by pid and start time.

    It may be another version's, or damaged.
    """
    record = _recorded(state)
    return record if alive(record.get("pid"), record.get("start"), record.get("boot")) else None


def _end_left(state: Path) -> bool:
    """End what a supervisor that was killed has left behind; whether there was anything."""
    from colab_remote.runtime.ending import end_tree

    left = _children(_recorded(state))
    for pid in left:
        end_tree(pid)
    (state / RECORD).unlink(missing_ok=True)
    return bool(left)


def _children(record: dict[str, Any]) -> list[int]:
    """What the supervisor started that recorded this, and still runs, by pid. A record may be damaged."""
    try:
        return [pid for pid, start in record["children"] if alive(pid, start, record["boot"])]
    except (KeyError, ValueError, TypeError):
        return []
