"""The line's process: `python -m colab_remote.laptop.line.server HOST`.

It holds the lock for life, so that there is one; it listens on a socket that only its user can reach; it ends by
itself without use, when it is told to, and when another version is installed, then after what it has lent.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from contextlib import closing, suppress
from logging.handlers import RotatingFileHandler
from typing import Any

from colab_remote.both.whole import write_json
from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.laptop.arrivals import arrivals
from colab_remote.laptop.bundle import bundle
from colab_remote.laptop.line.door import (
    FORMAT,
    Door,
    Gone,
    Local,
    door,
    facts_of,
    installed,
    read_line,
    send_line,
)
from colab_remote.laptop.line.link import Link
from colab_remote.laptop.line.start import since
from colab_remote.laptop.line.way import connect, listen
from colab_remote.laptop.lock import try_lock
from colab_remote.laptop.meter import Traffic, meter
from colab_remote.laptop.settings import line_idle

_LOCKED = 10.0  # seconds for a line that ends to make room
_ASKING = 5.0  # seconds for a client to say what it wants
_LOOK = 30.0  # seconds between two looks whether it is still needed
_SWITCH = 0.001  # seconds after which a thread with bulk lets one with a keystroke run
_LOG = 128 << 10  # bytes, and as much again of what was before
_NO_LINE = 3  # exit code: another one is there and does not answer

_log = logging.getLogger("colab_remote.line")


class Line:
    """Serves the door until nobody needs it."""

    def __init__(self, name: str, found: Door, lock: int, passphrase: str) -> None:
        self.name, self.door, self._lock = name, found, lock
        self._app, self._idle = installed(), line_idle()
        self._link = Link(name, _log.info, passphrase)
        self._since = time.time()
        self._users: dict[int, dict[str, Any]] = {}
        self._guard = threading.Lock()
        self._used = time.monotonic()
        self._metered = Traffic()
        self._over = threading.Event()
        self._listener = listen(found)
        write_json(found.record, {"pid": os.getpid(), "start": since(os.getpid()), "log": str(found.log)})

    def run(self) -> None:
        """Serve, then hang up."""
        threading.Thread(target=self._admit, daemon=True).start()
        while not self._over.wait(min(self._left(), _LOOK)):
            self._meter()
            if self._left() <= 0:
                _log.info("nobody has used it for %g s", self._idle)
                break
            if not self._users and not self._link.expected_back():
                _log.info("the host is gone, and nobody waits for it")
                break
        self._leave()
        self._link.end()
        self._meter()

    def end(self) -> None:
        """Have `run` return."""
        self._over.set()

    def _left(self) -> float:
        """Seconds until it has been idle for too long."""
        with self._guard:
            return self._idle if self._users else self._used + self._idle - time.monotonic()

    def _admit(self) -> None:
        for client in arrivals(self._listener):
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: Local) -> None:
        with closing(client):
            client.settimeout(_ASKING)
            try:
                asked = read_line(client)
                client.settimeout(None)
                self._answer(client, asked)
            except (OSError, ValueError, Gone):
                return

    def _answer(self, client: Local, asked: dict[str, Any]) -> None:
        what = asked.get("open")
        if what == "stop":
            _log.info("told to end")
            send_line(client, {"ok": True})
            self.end()
            client.recv(1)  # its end of file is the end of this process
        elif what == "stat":
            self._meter()
            send_line(client, {"ok": True, **self._state()})
        elif asked.get("app") != self._app or asked.get("v") != FORMAT:
            _log.info("another version is installed")
            self._leave()
            send_line(client, {"error": "replaced"})
            self._drain()
        else:
            self._lend(client, asked)

    def _lend(self, client: Local, asked: dict[str, Any]) -> None:
        user = {"open": asked.get("open"), "pid": asked.get("pid"), "since": time.time()}
        with self._guard:
            self._users[id(user)] = user
        try:
            self._join(client, asked)
        except ColabRemoteError as error:
            send_line(client, facts_of(error))
            if isinstance(error, Refused) and not self._link.live():
                self.end()  # a key that is locked now: the command that starts the next line asks for its passphrase
        finally:
            with self._guard:
                del self._users[id(user)]
                self._used = time.monotonic()
                alone = not self._users
            if alone and not self._link.expected_back():
                self.end()

    def _join(self, client: Local, asked: dict[str, Any]) -> None:
        deadline = time.monotonic() + float(asked["deadline"])

        def tell(text: str) -> None:
            send_line(client, {"wait": text})

        live = self._link.take(str(asked["ticket"]), deadline, tell)
        if asked["open"] == "reverse":
            live.reverse(int(asked["port"]), int(asked["local"]), client)
            return
        agent = asked["open"] == "agent"
        channel = live.agent(deadline, tell) if agent else live.connection.open_port_channel(int(asked["port"]))
        with suppress(OSError):  # a client that is gone by now ends the stream as any other end does
            send_line(client, {"ok": True, "quickest": live.connection.quickest})
        live.carry(channel, client, agent=agent)

    def _state(self) -> dict[str, Any]:
        live = self._link.live()
        with self._guard:
            users, passed = list(self._users.values()), self._metered
        return {
            "since": self._since,
            "connected": live.since if live else None,
            "round_trip": (live.round_trip or live.connection.quickest or None) if live else None,
            "up": passed.up,
            "down": passed.down,
            "users": users,
            "pid": os.getpid(),
            "log": str(self.door.log),
        }

    def _meter(self) -> None:
        """Write down what went through since the last time."""
        with self._guard:
            passed, before = self._link.passed(), self._metered
            if passed != before:
                more = Traffic(passed.up - before.up, passed.down - before.down)
                with suppress(OSError, Refused):  # the disk is full, say: a later time counts this too
                    meter(self.name, self._link.tunnel, more)
                    self._metered = passed

    def _drain(self) -> None:
        """End when all that was lent has been given back."""
        while True:
            with self._guard:
                if not self._users:
                    break
            time.sleep(0.1)
        self.end()

    def _leave(self) -> None:
        """Take the socket away and let the next line in."""
        with self._guard:
            if self._lock < 0:
                return
            if _same_file(self._lock, self.door):
                self.door.entrance.unlink(missing_ok=True)
                self.door.record.unlink(missing_ok=True)
            self._listener.close()
            os.close(self._lock)
            self._lock = -1


def main() -> None:
    """Be the line of the host named, unless there is one."""
    name = sys.argv[1]
    os.umask(0o077)
    sys.setswitchinterval(_SWITCH)
    found = door(name)
    lock = _locked(found)
    _open_log(found)
    try:
        threading.Thread(target=bundle, daemon=True).start()  # the first agent's, while the network is asked
        # What the command that started us was told by a person; it is nowhere but in our memory.
        line = Line(name, found, lock, sys.stdin.buffer.read().decode("utf-8"))
        signal.signal(signal.SIGTERM, lambda *_: line.end())
        line.run()
        _log.info("ended")
    except Exception:
        _log.exception("ended by a defect")
        os._exit(1)
    # Threads that still carry something must not hold it up.
    os._exit(0)


def _locked(found: Door) -> int:
    """The lock, once it is ours. Exits where another line has it: well if that answers."""
    deadline = time.monotonic() + _LOCKED
    while True:
        handle = os.open(found.lock, os.O_RDWR | os.O_CREAT, 0o600)
        if try_lock(handle):
            if _same_file(handle, found):
                return handle
        elif _answers(found):
            sys.exit(0)
        elif time.monotonic() > deadline:
            sys.exit(_NO_LINE)
        else:
            time.sleep(0.02)
        os.close(handle)


def _same_file(handle: int, found: Door) -> bool:
    """Whether the lock is still the one that others find: who tidies temporary folders may have taken it away."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(found.lock))
    except FileNotFoundError:
        return False


def _answers(found: Door) -> bool:
    probe = connect(found)
    if probe:
        probe.close()
    return probe is not None


def _open_log(found: Door) -> None:
    handler = RotatingFileHandler(found.log, maxBytes=_LOG, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False
    threading.excepthook = lambda failed: _log.error(
        "a defect", exc_info=(failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
    )


if __name__ == "__main__":
    main()
