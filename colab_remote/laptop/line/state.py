"""How a host's line is, as `list` and `status` show it."""

from __future__ import annotations

from contextlib import closing
from typing import Any, NamedTuple

from colab_remote.laptop.line.door import Gone, Local, door, read_line, send_line
from colab_remote.laptop.line.way import connect

_PATIENCE = 2.0  # seconds; who shows things must not wait for what hangs


class LineState(NamedTuple):
    """A line: `since` when it is there and `connected` since when it has contact (seconds since 1970).

    `round_trip` in seconds, bytes of this line in `up` and `down`, the processes that use it in `users`.
    """

    since: float
    connected: float | None
    round_trip: float | None
    up: int
    down: int
    users: tuple[int, ...]
    pid: int
    log: str


def ask_line(host: str) -> LineState | None:
    """How the host's line is, None where there is none or it does not say."""
    stream = connect(door(host))
    if stream is None:
        return None
    with closing(stream):
        return _asked(stream)


def _asked(stream: Local) -> LineState | None:
    stream.settimeout(_PATIENCE)
    try:
        send_line(stream, {"open": "stat"})
        return _state(read_line(stream))
    except (OSError, Gone, ValueError, KeyError, TypeError):
        return None


def _state(said: dict[str, Any]) -> LineState:
    return LineState(
        since=float(said["since"]),
        connected=None if said["connected"] is None else float(said["connected"]),
        round_trip=None if said["round_trip"] is None else float(said["round_trip"]),
        up=int(said["up"]),
        down=int(said["down"]),
        users=tuple(sorted({int(user["pid"]) for user in said["users"]})),
        pid=int(said["pid"]),
        log=str(said["log"]),
    )
