"""Two folders on this machine, and a real agent process between them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sides import Loopback

from colab_remote.laptop.conversation import Conversation, Stream
from colab_remote.laptop.project import load_project
from colab_remote.laptop.sync import Report, synchronize


@dataclass(frozen=True)
class Pair:
    """A project here, and its folder there."""

    here: Path
    workdir: Path

    @property
    def there(self) -> Path:
        return self.workdir / self.here.name

    def sync(self, through: Callable[[Stream], Stream] = lambda stream: stream, **options: Any) -> Report:
        """One sync over a conversation of its own, its stream passed `through` what spoils it."""
        with talking(through) as conversation:
            return synchronize(load_project(self.here), conversation, str(self.workdir), "colab", **options)

    def write(self, side: Path, path: str, text: str) -> None:
        """Put a file on one side."""
        place = side / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


class Counted:
    """A stream that counts what passes."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.bytes = stream, 0

    def recv(self, count: int) -> bytes:
        data = self.stream.recv(count)
        self.bytes += len(data)
        return data

    def sendall(self, data: bytes) -> None:
        self.bytes += len(data)
        self.stream.sendall(data)

    def close(self) -> None:
        self.stream.close()

    def shutdown(self, how: int) -> None:
        self.stream.shutdown(how)


@contextmanager
def talking(through: Callable[[Stream], Stream] = lambda stream: stream) -> Iterator[Conversation]:
    """A conversation with an agent that is a child of ours."""
    ours, its = socket.socketpair()
    agent = subprocess.Popen(
        [sys.executable, "-m", "colab_remote.agent"],
        stdin=its.fileno(),
        stdout=its.fileno(),
        env={**os.environ, "HOME": "/nonexistent"},
    )
    its.close()
    try:
        while ours.recv(1) != b"\n":
            pass
        yield Conversation(through(ours), Loopback("colab"))
    finally:
        ours.close()
        agent.wait(20)


def tree(root: Path) -> dict[str, object]:
    """Everything in a folder but what is ours: content and mode of files, targets of links, None for folders."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name.split("/")[0] == ".colab-remote":
            continue
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        else:
            found[name] = None if path.is_dir() else (path.read_bytes(), bool(path.stat().st_mode & 0o100))
    return found


def new_pair(folder: Path) -> Pair:
    """A new project with one file, and a runtime without its folder."""
    here = folder / "here" / "digits"
    here.mkdir(parents=True)
    (here / "colab-remote.toml").write_text("")
    (folder / "content").mkdir()
    return Pair(here, folder / "content")
