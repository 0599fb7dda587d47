"""A connection at work: agents kept ready on it, streams lent from it, probes that time and guard it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from colab_remote.errors import ColabRemoteError
from colab_remote.laptop.connection import Connection, Crowded, close_channel, widen
from colab_remote.laptop.conversation import LARGE
from colab_remote.laptop.line.door import Local, send_line
from colab_remote.laptop.line.flow import BULK, FLOOR, Flow, granted, window
from colab_remote.laptop.line.way import wait_for_hangup

if TYPE_CHECKING:
    import paramiko

_READY = 2  # idle agents; one is not enough for commands back to back
_MOST = 9  # agents in all: a foreign sshd allows ten sessions on a connection
_LINGERS = 5.0  # seconds for which sshd may count a session that has ended
_CROWDED = 0.2  # seconds at the most before another one is tried where there are too many
_IDLE_PROBE = 30.0  # seconds between two probes while nothing else goes on
_FIRST_PROBE = 0.5  # seconds
_PATIENCE = 15.0  # seconds for the answer to one of them
_FRESH = 4.5  # seconds without a word after which a borrower has it probed at once, and for the answer then,
_DOUBT = 0.4  # and after which one that was heard a moment ago is: with a command's start 5 in all
_BULK_PATIENCE = 60.0  # seconds, for an answer that may wait behind data on a slow line
_PACE, _PACE_UP = 0.01, 0.002  # seconds between two probes beside one, at least
_SLOWEST = 2  # times the line's own delay
_QUIET = 0.5  # seconds without bulk after which a transfer is over
_PIECE = 64 << 10  # bytes that go up at once
_KEYSTROKES = 4 << 10  # bytes that never wait for credit


class Lent:
    """A channel and the client's socket that it is joined to."""

    def __init__(self, channel: paramiko.Channel, client: Local, whole: bool) -> None:
        # `whole`: its two directions end together, as an agent's do.
        self.channel, self.client, self.whole = channel, client, whole
        self.ahead = FLOOR  # bytes that the far end may still send, or that lie with us
        self.taken = self.taken_before = 0
        self.reads_bulk = False


class Live:
    """One connection and what is lent from it, until it breaks."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.flow = connection, Flow()
        self.round_trip = 0.0  # seconds, as the last probe took
        self.since = time.time()
        self._heard = time.monotonic()
        self._changed = threading.Condition()
        self._idle: list[paramiko.Channel] = []
        self._agents = 0  # ready, lent, and being opened
        self._filling = False
        self._left = 0.0  # when the last agent that was lent ended, by the monotonic clock
        self._lent: set[Lent] = set()
        self._reserved = self._arrived = self._moved = self._moved_before = 0
        self._free_at = 0.0  # when the next piece may go up
        self._urgent = self._steering = False
        self._poke = threading.Event()

    @property
    def alive(self) -> bool:
        """Whether it has not broken yet."""
        return self.connection.alive

    @property
    def _beat(self) -> float:
        """Seconds of a round trip to keep time by: one in which the network stood still tells nothing of the next."""
        return min(self.round_trip, _SLOWEST * self.flow.base)

    def agent(self, deadline: float, tell: Callable[[str], None]) -> paramiko.Channel:
        """The channel of an agent that nobody else has; the connection is probed meanwhile if it was silent."""
        heard = self._heard
        doubt = threading.Timer(_DOUBT if time.monotonic() - heard < _FRESH else 0, self._ask_unless, (heard,))
        doubt.daemon = True
        doubt.start()
        told = False
        while True:
            try:
                return self._ready() or self._opened()
            except Crowded as error:
                now = time.monotonic()
                if now > deadline or (not self._agents and now > self._left + _LINGERS):
                    raise
                if not told:  # once: where both limits are near, now one and now the other is met
                    tell(f"{error.message}; waiting for one to end")
                told = True
            with self._changed:
                self._changed.wait(_CROWDED)

    def _ask_unless(self, heard: float) -> None:
        """Have the line probed unless something was heard after that."""
        if self._heard == heard:
            self._urgent = True
            self._poke.set()

    def _ready(self) -> paramiko.Channel | None:
        """An idle agent's channel; None where one may be opened, which counts from now on. Raises Crowded."""
        with self._changed:
            while self._idle:
                channel = self._idle.pop()
                if not (channel.closed or channel.eof_received):
                    return channel
                channel.close()
                self._agents -= 1
            if self._agents >= _MOST:
                raise Crowded(f"{_MOST} commands use `{self.connection.host.name}`", "end one of them, then again")
            self._agents += 1
            return None

    def carry(self, channel: paramiko.Channel, client: Local, *, agent: bool) -> None:
        """Join channel and socket until both directions have ended."""
        channel.in_window_threshold = 1 << 62  # what the far end may send is said by `_delivered` alone
        lent = Lent(channel, client, agent)
        with self._changed:
            self._lent.add(lent)
        self._widened(lent)  # an answer longer than the least would wait for a round trip after its beginning
        if agent:
            threading.Thread(target=self._keep_agents_ready, daemon=True).start()
        upward = threading.Thread(target=self._up, args=(lent,), daemon=True)
        upward.start()
        self._down(lent)
        close_channel(channel)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        upward.join()
        with self._changed:
            self._lent.discard(lent)
            self._agents -= agent
            if agent:
                self._left = time.monotonic()
            self._changed.notify_all()

    def reverse(self, port: int, local: int, client: Local) -> None:
        """Lead what connects to `port` on the runtime to `local` here, until the client hangs up or contact is lost."""

        def lead(channel: paramiko.Channel) -> None:
            try:
                with socket.create_connection(("127.0.0.1", local)) as found:
                    self.carry(channel, found, agent=False)
            except OSError:
                channel.close()

        self.connection.listen(port, lead)
        try:
            with suppress(OSError):  # a client that has gone already is one that has hung up
                send_line(client, {"ok": True})
                threading.Thread(target=self._hang_up_when_over, args=(client,), daemon=True).start()
                client.recv(1)
        finally:
            self.connection.unlisten(port)

    def guard(self) -> None:
        """Probe until the connection is over: now and then, soon where somebody waits, all the time beside bulk."""
        threading.Thread(target=self._notice_the_end, daemon=True).start()
        # A probe now would wait behind agents that are being started, or they behind it: sshd lets a small packet
        # wait until the one before has arrived. The first channel was opened with nothing else under way.
        time.sleep(_FIRST_PROBE)
        self.round_trip = self.connection.quickest
        if self.round_trip:
            self.flow.idle(self.round_trip)
        while self.alive:
            asleep = _Clock()
            self._poke.wait(_IDLE_PROBE)
            self._poke.clear()
            if self._moved - self._moved_before > BULK:
                self._steer()
            elif self.alive:
                hurry = self._urgent or asleep.for_seconds() > _IDLE_PROBE + _FRESH
                self._urgent = False
                self._probed(_FRESH if hurry else _PATIENCE)
                self.flow.idle(self.round_trip)
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End the connection and every stream on it."""
        self.connection.close()
        self._poke.set()

    def _notice_the_end(self) -> None:
        self.connection.wait()
        self._poke.set()

    def _hang_up_when_over(self, client: Local) -> None:
        self.connection.wait()
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _opened(self) -> paramiko.Channel:
        try:
            return self.connection.open_session()
        except BaseException:
            with self._changed:
                self._agents -= 1
                self._changed.notify_all()
            raise

    def _keep_agents_ready(self) -> None:
        with self._changed:
            if self._filling:
                return
            self._filling = True
        with suppress(ColabRemoteError):  # whoever needs the next one hears of it
            while self.alive:
                with self._changed:
                    if len(self._idle) >= _READY or self._agents >= _MOST:
                        break
                    self._agents += 1
                channel = self._opened()
                with self._changed:
                    self._idle.append(channel)
        self._filling = False

    def _up(self, lent: Lent) -> None:
        with suppress(OSError, EOFError):  # the latter from paramiko, when the connection has just broken
            # Small pieces where credit is small: a keystroke waits for one of them at most.
            while data := lent.client.recv(min(_PIECE, max(_KEYSTROKES, self.flow.credit >> 4))):
                self._admit(len(data))
                lent.channel.sendall(data)
            if not lent.whole:
                lent.channel.shutdown_write()
                wait_for_hangup(lent.client)
        close_channel(lent.channel)

    def _down(self, lent: Lent) -> None:
        with suppress(OSError):
            while data := lent.channel.recv(LARGE):
                lent.client.sendall(data)
                self._delivered(lent, len(data))
            lent.client.shutdown(socket.SHUT_WR)
            if not lent.whole:
                lent.channel.recv_exit_status()  # returns when the channel is closed, by whichever end

    def _admit(self, count: int) -> None:
        """Wait until `count` more bytes may go up: evenly, the credit in the time of a round trip."""
        with self._changed:
            while count >= _KEYSTROKES and self.alive:
                # What a probe says has arrived was sent up to three round trips before.
                under_way = self._reserved - self._arrived
                if not under_way or under_way + count <= 4 * self.flow.credit:
                    break
                self._changed.wait(1)
            self._reserved += count
            now = time.monotonic()
            due = max(now, self._free_at)
            self._free_at = due + count * self._beat / self.flow.credit
        self._count(count)
        if due > now and count >= _KEYSTROKES:
            time.sleep(due - now)

    def _delivered(self, lent: Lent, count: int) -> None:
        """Let the far end send more, now that the client has taken `count` bytes."""
        self._heard = time.monotonic()
        with self._changed:
            lent.taken += count
            lent.ahead -= count
        self._widened(lent)
        self._count(count)

    def _widened(self, lent: Lent) -> None:
        """Let the far end send what it may by now."""
        with self._changed:
            readers = sum(other.reads_bulk for other in self._lent if other is not lent) + 1
            held = sum(other.ahead for other in self._lent if other is not lent)
            size = window(self.flow.credit, readers, held)
            more = granted(size, lent.ahead, self.flow.base)
            lent.ahead += more
        if more:
            widen(lent.channel, more)

    def _count(self, count: int) -> None:
        self._moved += count
        if self._moved - self._moved_before > BULK and not self._steering:
            self._poke.set()

    def _steer(self) -> None:
        """Probe beside a transfer, and let each answer set the credit."""
        self._steering = True
        up = self._reserved - self._arrived
        self.flow.begin(down=self._moved - self._moved_before > 2 * up)
        last_bulk = time.monotonic()
        while self.alive and time.monotonic() - last_bulk < _QUIET:
            reserved, moved = self._reserved, self._moved
            self._probed(_BULK_PATIENCE)
            with self._changed:
                self._arrived = reserved
                went, up = self._moved - moved, self._reserved - reserved
                if self.flow.busy(self.round_trip, went, went - up):
                    last_bulk = time.monotonic()
                for lent in self._lent:
                    lent.reads_bulk = lent.taken - lent.taken_before > FLOOR // 2
                    lent.taken_before = lent.taken
                self._changed.notify_all()
            # A probe's answer holds back a keystroke's at the far sshd: half of the time none is under way, but for the
            # few round trips in which the credit still grows.
            # What goes up counts as under way until a probe has passed it: on a short line they have to come often.
            least = _PACE if self.flow.down else _PACE_UP
            time.sleep(_PACE if self.flow.grows else max(least, self._beat))
        with self._changed:
            self._arrived = self._reserved
            self._moved_before = self._moved
            self._changed.notify_all()
        self._steering = False
        self._probed(_PATIENCE)
        self.flow.idle(self.round_trip)
        self.flow.end()

    def _probed(self, patience: float) -> None:
        self.round_trip = self.connection.probe(patience)
        if self.alive:
            self._heard = time.monotonic()


class _Clock:
    """Time that passed, sleep of the machine included: one of the two clocks goes on meanwhile."""

    def __init__(self) -> None:
        self._wall, self._steady = time.time(), time.monotonic()

    def for_seconds(self) -> float:
        """Seconds since this was made."""
        return max(time.time() - self._wall, time.monotonic() - self._steady)
