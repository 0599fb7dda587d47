"""A host's connection, as commands use it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from colab_remote.errors import Refused
from colab_remote.laptop.conversation import Conversation, Stream
from colab_remote.laptop.hosts import Host, mark_contact, tunnel


class Reach(Protocol):
    """What a command needs of a host."""

    def open_agent(self) -> Conversation:
        """A conversation with an agent of its own."""

    def open_port(self, port: int) -> Stream:
        """A stream to a port on the runtime's loopback."""

    def reverse(self, port: int, local: int) -> Stream:
        """Lead what connects to `port` there to `local` here, as long as this stream is open."""

    def close(self) -> None:
        """Let go of the connection."""


@contextmanager
def reach(host: Host, timeout: float | None = None, say: Callable[[str], None] = lambda text: None) -> Iterator[Reach]:
    """The host's line, started where there is none; `timeout` seconds for the way there, `say` is told of a wait.

    Where the user wants no line it is a connection of this process. Raises Unreachable, WrongRuntime, Refused.
    """
    line = _line(host, timeout, say)
    if line is None:
        with _connection(host, timeout) as found:
            yield found
        return
    try:
        yield line
    finally:
        line.close()


def switched_off() -> bool:
    """Whether the user wants no line, for now."""
    return os.environ.get("COLAB_REMOTE_LINE") == "0"


def _line(host: Host, timeout: float | None, say: Callable[[str], None]) -> Reach | None:
    if switched_off():
        return None
    from colab_remote.laptop.line.client import Line, is_wanted

    return Line(host, timeout, say) if is_wanted(host.name) else None


@contextmanager
def _connection(host: Host, timeout: float | None) -> Iterator[Reach]:
    # paramiko takes longer to import than most commands to run.
    from colab_remote.laptop.login import open_connection
    from colab_remote.laptop.meter import Traffic, meter

    connection = open_connection(host, timeout)
    mark_contact(host.name)
    try:
        yield connection
    finally:
        connection.close()
        with suppress(OSError, Refused):  # a full disk here is no reason to fail
            meter(host.name, tunnel(host.ticket), Traffic(*connection.passed))
