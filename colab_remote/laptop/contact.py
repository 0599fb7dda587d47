"""Contact with a host that is kept up: lost, it is sought again for a while, with a word about it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from colab_remote.errors import ColabRemoteError, ContactLost, Refused, Unreachable
from colab_remote.laptop.conversation import Conversation
from colab_remote.laptop.hosts import Host, host_names, load_host
from colab_remote.laptop.reach import Reach, reach

PATIENCE = 300.0  # seconds for which lost contact is sought again, unless --timeout says otherwise
PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds after each attempt, the last one again and again
_ATTEMPT = 20.0  # seconds for one attempt to reach a host that is waited for
_TOLD = 2  # the failed attempt after which a person hears of it


class Contact:
    """A host's connection, made anew where it breaks. Several threads may hold conversations on it."""

    def __init__(self, host: Host, timeout: float | None, say: Callable[[str], None]) -> None:
        self.host, self.say, self._timeout = host, say, timeout
        self._lock = threading.Lock()
        self._held = ExitStack()
        self._reach: Reach | None = None
        self._ended = threading.Event()

    def open_agent(self) -> Conversation:
        """A conversation on the one connection, which is made where there is none. Raises what `reach` raises."""
        with self._lock:
            if self._ended.is_set():
                raise ContactLost(f"contact with `{self.host.name}` was ended here")
            if self._reach is None:
                self._reach = self._held.enter_context(reach(self.host, self._timeout, self.say))
            try:
                return self._reach.open_agent()
            except Unreachable:
                self._drop()
                raise

    def reopen(self) -> Conversation:
        """A conversation after one was lost. Raises ContactLost when the host stays away, or this contact ended."""
        patience = self._timeout or PATIENCE
        deadline = time.monotonic() + patience
        for attempt in itertools.count():
            try:
                self.host = load_host(self.host.name)  # it may have been connected anew meanwhile
                found = self.open_agent()
            except Refused:
                if self.host.name in host_names():
                    raise
                raise ContactLost(f"`{self.host.name}` is not known here any more") from None
            except Unreachable as error:
                if attempt == _TOLD:
                    self.say(f"lost     {error.message}; trying again for {patience:.0f} s")
            else:
                if attempt > _TOLD:
                    self.say(f"back     `{self.host.name}` answers again")
                return found
            pause = PAUSES[min(attempt, len(PAUSES) - 1)]
            if time.monotonic() + pause > deadline or self._ended.wait(pause):
                break
        raise ContactLost(f"`{self.host.name}` has not answered for {patience:.0f} s")

    def ended(self, seconds: float) -> bool:
        """Whether this contact was ended, waiting up to `seconds` for it."""
        return self._ended.wait(seconds)

    def end(self) -> None:
        """Let go of the connection; who seeks contact in another thread stops."""
        self._ended.set()
        # Another thread may be waiting for an answer with the lock in its hand; a person must not.
        held = self._lock.acquire(timeout=1)
        self._drop()
        if held:
            self._lock.release()

    def _drop(self) -> None:
        self._reach = None
        self._held.close()


def wait_for(name: str) -> Host:
    """The host called `name` once it answers, by its ticket of that moment: a new `connect` counts."""
    while True:
        # Whatever is wrong with it, a new VM at the old address or a host that was forgotten: `connect` mends that.
        with suppress(ColabRemoteError):
            host = load_host(name)
            with reach(host, _ATTEMPT) as reached:
                reached.open_agent().close()
            return host
        time.sleep(PAUSES[-1])


@contextmanager
def contact(host: Host, timeout: float | None, say: Callable[[str], None]) -> Iterator[Contact]:
    """A Contact that ends with the `with` block."""
    made = Contact(host, timeout, say)
    try:
        yield made
    finally:
        made.end()
