"""Where a host's line is found, and the lines of JSON that ask it for a stream."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from zlib import crc32  # hashlib brings OpenSSL with it, which a command on a warm line would wait for

from colab_remote.errors import ColabRemoteError, Refused, kind_of
from colab_remote.laptop.conversation import Stream
from colab_remote.laptop.places import ours, records

FORMAT = 1  # of what is said through the socket
_LONGEST = 100  # bytes of a socket's path, which systems hold in 104 or 108
_LONGEST_LINE = 1 << 16


class Local(Stream, Protocol):
    """A stream between two processes of this machine."""

    def settimeout(self, seconds: float | None, /) -> None:
        """Wait no longer than so many seconds for the other end."""


class Gone(Exception):
    """The line ended before it had answered."""


class Door(NamedTuple):
    """A host's line: where it listens, the lock that it holds for life, the record of its process, its log."""

    host: str
    stem: str

    @property
    def entrance(self) -> Path:
        """The Unix socket, its path short enough for every system; on Windows a file that names a pipe."""
        return Path(f"{self.stem}.sock")

    @property
    def lock(self) -> Path:
        """The file that is locked as long as the line lives."""
        return Path(f"{self.stem}.lock")

    @property
    def record(self) -> Path:
        """Which process it is, in JSON."""
        return Path(f"{self.stem}.json")

    @property
    def log(self) -> Path:
        """What happened to it."""
        return records() / "log" / self.host


def door(host: str) -> Door:
    """Where the line of `host` is found by everybody who uses the same configuration. Raises Refused."""
    return Door(host, f"{_run_folder()}/{crc32(os.fsencode(ours())):08x}{crc32(host.encode()):08x}")


def installed() -> str:
    """What tells this installation from any other: a line and the commands that use it are of one."""
    root = Path(__file__).parents[2]
    found = [f"{root} {sys.version}"]
    for folder in ("", "agent", "both", "laptop", "laptop/line", "laptop/sync"):
        with os.scandir(root / folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.endswith(".py"):
                    facts = entry.stat()
                    found.append(f"{folder}/{entry.name} {facts.st_size} {facts.st_mtime_ns}")
    return f"{crc32(os.fsencode(' '.join(found))):08x}"


def send_line(stream: Local, value: dict[str, Any]) -> None:
    """Send one JSON line."""
    stream.sendall(json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n")


def read_line(stream: Local) -> dict[str, Any]:
    """The next JSON line, and not a byte of what follows it. Raises Gone, ValueError, OSError."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = stream.recv(1)
        if not byte:
            raise Gone
        line += byte
        if len(line) > _LONGEST_LINE:
            raise ValueError("a line without end")
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def facts_of(error: ColabRemoteError) -> dict[str, Any]:
    """An error as a line says it."""
    return {"error": error.code, "message": error.message, "hint": error.hint}


def error_of(said: dict[str, Any]) -> ColabRemoteError:
    """The error that a line said."""
    return kind_of(said.get("error"))(str(said.get("message")), str(said.get("hint", "")))


def _run_folder() -> Path:
    if sys.platform == "win32":  # where the temporary folder is each user's own
        import tempfile

        folder = Path(tempfile.gettempdir(), "colab-remote")
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder
    folder = next(at for at in _places() if len(os.fsencode(at)) + len("/0123456789abcdef.sock") <= _LONGEST)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError as error:
        raise _refused(f"`{folder}` cannot be used: {error.strerror}") from None
    # Under a temporary folder, anybody could have been there first.
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise _refused(f"`{folder}` is not a folder of yours alone")
    return folder


def _places() -> Iterator[Path]:
    """Folders that a system has for sockets, the best one first."""
    if sys.platform == "win32":
        return
    given = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    if given.is_absolute() and given.is_dir():  # `su` leaves that of a session which may be gone
        yield given / "colab-remote"
    import tempfile  # only here: most commands on a warm line have nothing else to wait for

    shared = f"colab-remote-{os.geteuid()}"
    yield Path(tempfile.gettempdir()) / shared
    yield Path("/tmp") / shared


def _refused(message: str) -> Refused:
    return Refused(message, "XDG_RUNTIME_DIR names another place for sockets, COLAB_REMOTE_LINE=0 does without")
