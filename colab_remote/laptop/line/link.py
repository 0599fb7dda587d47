"""The way to a host: one connection at a time, found again when it is lost, when asked to and by itself."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable

from colab_remote.errors import ColabRemoteError, Unreachable
from colab_remote.laptop.hosts import load_host, tunnel
from colab_remote.laptop.line.flow import FLOOR
from colab_remote.laptop.line.live import Live
from colab_remote.laptop.login import log_in
from colab_remote.laptop.meter import Traffic

_BACK_SOON = 120.0  # seconds for which lost contact is expected back, so that a command waits for it
_PATIENCE = 10.0  # seconds for an attempt that nobody asked for
_PAUSE = 1.0  # seconds between the attempts of a command that waits
_LONGEST_PAUSE = 60.0


class Link:
    """The connection to the host called `name`; `note` writes to the line's log, `passphrase` opens the key."""

    def __init__(self, name: str, note: Callable[[str], None], passphrase: str) -> None:
        self._name, self._note, self._passphrase = name, note, passphrase
        self._making = threading.Lock()
        self._live: Live | None = None
        self._lost = -math.inf  # when contact was lost, on the steady clock; inf until that is noticed
        self._ended = threading.Event()
        self._finished: Traffic = Traffic()  # bytes of connections that are over
        self.tunnel = ""  # the kind of way that the latest connection took

    def take(self, ticket: str, deadline: float, tell: Callable[[str], None]) -> Live:
        """The connection for a command that knows the host by `ticket`, made where there is none.

        Raises what `log_in` raises; where contact was lost a moment ago, it is sought until the deadline.
        """
        while True:
            try:
                return self._taken(ticket, deadline)
            except Unreachable as error:
                if not self.expected_back() or time.monotonic() + _PAUSE > deadline:
                    raise
                tell(f"{error.message}; trying again")
                self._ended.wait(_PAUSE)

    def expected_back(self) -> bool:
        """Whether there is contact, or was until a moment ago."""
        return time.monotonic() - self._lost < _BACK_SOON

    def live(self) -> Live | None:
        """The connection, where there is one."""
        return self._live if self._live and self._live.alive else None

    def passed(self) -> Traffic:
        """Bytes over all connections until now, with all that SSH adds."""
        up, down = self._live.connection.passed if self._live else (0, 0)
        return Traffic(self._finished.up + up, self._finished.down + down)

    def end(self) -> None:
        """Hang up for good."""
        self._ended.set()
        if self._live:
            self._live.close()

    def _taken(self, ticket: str, deadline: float) -> Live:
        patience = deadline - time.monotonic()
        if patience <= 0 or not self._making.acquire(timeout=patience):
            raise Unreachable(f"contact with `{self._name}` was not there in time", "`--timeout` gives it more seconds")
        try:
            live = self.live()
            if live and str(live.connection.host.ticket) == ticket:
                return live
            return self._made(max(0.1, deadline - time.monotonic()))
        finally:
            self._making.release()

    def _made(self, patience: float) -> Live:
        """A new connection, unless the one that is there is to where the host is now."""
        host = load_host(self._name)  # a `connect` may have changed where it is
        live = self.live()
        if live and live.connection.host.ticket == host.ticket:
            return live
        if live:
            self._note("the host is somewhere else now")
            self._lost = -math.inf
            live.close()
        if self._live:
            self._finished, self._live = self.passed(), None
            if self._lost == math.inf:  # a command asked before it was noticed
                self._lost = time.monotonic()
        found = self._live = Live(log_in(host, patience, FLOOR, passphrase=self._passphrase))
        self._lost = math.inf
        self.tunnel = tunnel(host.ticket)
        self._note(f"connected to {host.ticket.host}:{host.ticket.port or ''}")
        threading.Thread(target=self._watch, args=(found,), daemon=True).start()
        return found

    def _watch(self, live: Live) -> None:
        live.guard()
        live.close()
        if self._ended.is_set() or self._live not in (live, None) or self._lost == -math.inf:
            return
        if self._live:
            self._lost = time.monotonic()
        self._note("contact was lost")
        for pause in _pauses():
            if self._ended.wait(pause) or self.live():
                return
            try:
                with self._making:
                    if not self.live():
                        self._made(_PATIENCE)
                return
            except Unreachable as error:
                self._note(f"{error.message}; trying again")
            except ColabRemoteError as error:
                self._note(f"{error.message}; left until a command asks")
                return


def _pauses() -> list[float]:
    """Seconds before each attempt, doubled up to a minute, each shortened by chance so that lines do not march."""
    return [min(2.0**n, _LONGEST_PAUSE) * random.uniform(0.5, 1) for n in range(200)]
