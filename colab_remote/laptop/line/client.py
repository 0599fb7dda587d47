"""A host's line as a command uses it. Imports little: a command on a warm line has nothing else to wait for."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from colab_remote.errors import Unreachable
from colab_remote.laptop.conversation import Conversation, Stream
from colab_remote.laptop.dial import PATIENCE
from colab_remote.laptop.hosts import Host, mark_contact
from colab_remote.laptop.line.door import FORMAT, Door, Gone, Local, door, error_of, installed, read_line, send_line
from colab_remote.laptop.line.way import connect

_SILENCE = 5.0  # seconds that a line may be late with its answer
_PAUSE = 0.02  # seconds before the next line is asked


def is_wanted(host: str) -> bool:
    """Whether there is a line, or the user's settings want one."""
    return door(host).entrance.exists() or _settings_want_one()


class Line:
    """The line of a host: the same interface as a connection's, see `reach`."""

    def __init__(self, host: Host, timeout: float | None, say: Callable[[str], None]) -> None:
        self.host, self._patience, self._say = host, timeout or PATIENCE, say
        self.quickest = 0.0  # seconds of a round trip, as the line knows it
        self._streams: list[Local] = []

    def open_agent(self) -> Conversation:
        """A conversation with an agent of its own. Raises what making a connection raises."""
        return Conversation(self._borrowed("agent"), self)

    def open_port(self, port: int) -> Stream:
        """A stream to `port` on the runtime's own loopback. Raises Unreachable where nobody listens."""
        return self._borrowed("port", port=port)

    def reverse(self, port: int, local: int) -> Stream:
        """Lead what connects to `port` there to `local` here, until this stream is closed, or ends by itself."""
        return self._borrowed("reverse", port=port, local=local)

    def close(self) -> None:
        """Give back all that was borrowed; who reads in another thread finds the end."""
        for stream in self._streams:
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
            stream.close()

    def _borrowed(self, what: str, **more: Any) -> Local:
        found = door(self.host.name)
        deadline = time.monotonic() + self._patience
        asked = {"v": FORMAT, "app": installed(), "open": what, "ticket": str(self.host.ticket), "pid": os.getpid()}
        while True:
            stream = connect(found) or self._started(found)
            try:
                send_line(stream, {**asked, **more, "deadline": max(0.1, deadline - time.monotonic())})
                self._admitted(stream, deadline)
            except (Gone, OSError):  # it ended, or made room for this version: the next one
                stream.close()
                if time.monotonic() > deadline:
                    raise Unreachable(
                        f"the line to `{self.host.name}` ends again and again", f"its log is `{found.log}`"
                    ) from None
                time.sleep(_PAUSE)  # a process that was killed takes a moment to be gone
                continue
            except BaseException:
                stream.close()
                raise
            mark_contact(self.host.name)
            self._streams.append(stream)
            return stream

    def _started(self, found: Door) -> Local:
        from colab_remote.laptop.line.start import start_line

        return start_line(self.host, found)

    def _admitted(self, stream: Local, deadline: float) -> None:
        """Wait until the line has lent what was asked for. Raises its error; Gone where it ended."""
        told = ""
        while True:
            stream.settimeout(max(0.0, deadline - time.monotonic()) + _SILENCE)
            try:
                said = read_line(stream)
            except (TimeoutError, ValueError):
                raise Unreachable(
                    f"the line to `{self.host.name}` does not answer",
                    "`colab-remote disconnect` ends it, COLAB_REMOTE_LINE=0 does without",
                ) from None
            if said.get("ok"):
                stream.settimeout(None)
                self.quickest = float(said.get("quickest", 0))
                return
            if said.get("error") == "replaced":
                raise Gone
            if "error" in said:
                raise error_of(said)
            if said.get("wait", told) != told:
                told = str(said["wait"])
                self._say(f"waiting  {told}")


def _settings_want_one() -> bool:
    from colab_remote.laptop.settings import line_idle

    return line_idle() > 0
