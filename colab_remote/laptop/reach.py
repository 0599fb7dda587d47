"""A host's connection, as commands use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from colab_remote.laptop.conversation import Conversation, Stream
from colab_remote.laptop.hosts import Host, mark_contact


class Reach(Protocol):
    """What a command needs of a host."""

    def open_agent(self) -> Conversation:
        """A conversation with an agent of its own."""

    def open_port(self, port: int) -> Stream:
        """A stream to a port on the runtime's loopback."""

    def close(self) -> None:
        """Let go of the connection."""


@contextmanager
def reach(host: Host, timeout: float | None = None) -> Iterator[Reach]:
    """The host's connection, within `timeout` seconds. Raises Unreachable, WrongRuntime, Refused."""
    # paramiko takes longer to import than most commands to run.
    from colab_remote.laptop.connection import open_connection

    connection = open_connection(host, timeout)
    try:
        mark_contact(host.name)
        yield connection
    finally:
        connection.close()
