"""A person at a job's terminal: keys go there as they are typed, what it says is shown, and it ends as it was."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import FrameType

from colab_remote.cli.output import output
from colab_remote.cli.show import Show
from colab_remote.errors import ColabRemoteError, ContactLost
from colab_remote.laptop.contact import Contact
from colab_remote.laptop.conversation import Exchange
from colab_remote.laptop.history import Job, home_of
from colab_remote.laptop.jobs import follow, type_at
from colab_remote.laptop.logcopy import show_log

assert sys.platform != "win32"  # its consoles have other calls, see `need_terminal`

LEAVE = b"\x10\x11"  # Ctrl-P Ctrl-Q, docker's
_KEYS = sys.__stdin__.fileno() if sys.__stdin__ else 0
_ENDED = b"e"
_ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class LeaveKeys:
    """Finds LEAVE among the keys: its first half is held back until the next key comes."""

    def __init__(self) -> None:
        self._held = b""

    def __call__(self, typed: bytes) -> tuple[bytes, bool]:
        """What of `typed` is for the job, and whether its person leaves."""
        keys, found, _ = (self._held + typed).partition(LEAVE)
        self._held = LEAVE[:1] if keys.endswith(LEAVE[:1]) and not found else b""
        return keys[: len(keys) - len(self._held)], bool(found)


def at_terminal(made: Contact, job: Job, begin: int) -> Job | None:
    """Be at the job's terminal, its log shown from `begin`; the job when it is over, None when its person has left."""
    keys = _opened(made, job)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGWINCH, lambda *_: None)  # its number in the pipe is what tells
    with _raw(), ThreadPoolExecutor(2) as pool:
        typist = Typist(made, job, pool, keys)
        typing = pool.submit(typist.type, woken)
        show = Show()
        try:
            return follow(made, None, job, show, show_log(home_of(job), begin, show))
        except ContactLost:
            if typist.left:
                return None
            raise
        finally:
            signal.set_wakeup_fd(-1)
            os.write(wake, _ENDED)
            typing.result()


class Typist:
    """Sends keys and window sizes. What is typed while there is no contact is dropped: nobody sees where it goes."""

    def __init__(self, made: Contact, job: Job, pool: ThreadPoolExecutor, keys: Exchange) -> None:
        self._contact, self._job, self._pool = made, job, pool
        self._opening: Future[Exchange] = Future()
        self._opening.set_result(keys)
        self.left = False

    def type(self, woken: int) -> None:
        """Until told so through `woken`, or until the person leaves."""
        keys, sources = LeaveKeys(), [_KEYS, woken]
        while not self.left:
            ready = select.select(sources, [], [])[0]
            said = os.read(woken, 1 << 10) if woken in ready else b""
            if _ENDED in said:
                return
            # One that came just before the main thread began to wait for the network has not woken it.
            if _ENDING.intersection(said):
                break
            typed = os.read(_KEYS, 1 << 12) if _KEYS in ready else b""
            if _KEYS in ready and not typed:
                sources.remove(_KEYS)
            send, self.left = keys(typed)
            self._send(send)
        self._contact.end()

    def _send(self, typed: bytes) -> None:
        """The keys, and the window's size where there are none."""
        if not self._opening.done():
            return
        try:
            exchange = self._opening.result()
            exchange.send(typed) if typed else _resize(exchange)
        except ColabRemoteError:
            self._opening = self._pool.submit(_opened, self._contact, self._job)


def _opened(made: Contact, job: Job) -> Exchange:
    exchange = type_at(made, job)
    _resize(exchange)
    return exchange


def _resize(exchange: Exchange) -> None:
    size = os.get_terminal_size(_KEYS)  # not what LINES and COLUMNS say, which do not change with it
    exchange.tell({"rows": size.lines, "columns": size.columns})


@contextmanager
def _raw() -> Iterator[None]:
    """The terminal gives every key as it is, and is as it was at the end, also where a signal asks for that."""
    before = termios.tcgetattr(_KEYS)
    told = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    tty.setraw(_KEYS)
    output().raw = True
    try:
        yield
    finally:
        output().raw = False
        with suppress(termios.error):  # it may have gone away
            termios.tcsetattr(_KEYS, termios.TCSADRAIN, before)
        for number, handler in told.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
