"""One authenticated SSH connection to a host, and agents on it."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from colab_remote.errors import GONE, ColabRemoteError, Refused, Unreachable
from colab_remote.laptop.bundle import MARK, Bundle, bundle
from colab_remote.laptop.conversation import Conversation, Stream
from colab_remote.laptop.dial import Dialled, Told
from colab_remote.laptop.forward import join
from colab_remote.laptop.hosts import Host

if TYPE_CHECKING:
    import paramiko

    from colab_remote.laptop.transport import Transport

_NOISE = 64 << 10  # bytes that a login shell may print before the agent's greeting
_AGENT_STARTS = 0.05  # seconds at the least
CAP = 12 << 20  # bytes under way at the most: 1 Gbit/s at 100 ms
FASTEST = 125_000_000  # bytes a second of a line that is to be filled
_LEAST = 256 << 10  # bytes under way where the line is short


class Crowded(Unreachable):
    """The far sshd takes no further session on this connection; one that has just ended still counts for a moment."""


class Connection:
    """An open connection: the same interface as a line's, see `reach`."""

    def __init__(self, transport: Transport, stream: Counted, host: Host, timeout: float) -> None:
        self.host = host
        self._transport, self._stream, self._timeout = transport, stream, timeout
        self._arrivals: dict[int, Callable[[paramiko.Channel], None]] = {}
        self._asking = threading.Lock()
        self.quickest = 0.0  # seconds of the quickest round trip on a channel, 0 before the first

    def open_agent(self) -> Conversation:
        """A conversation with a new agent, sent there first where this version is not there yet."""
        channel = self.open_session()
        _fill_the_line(channel, self.quickest)
        return Conversation(channel, self)

    def open_session(self) -> paramiko.Channel:
        """The channel of a new agent that has greeted."""
        import paramiko

        channel = self._channel("session", None, f"`{self.host.name}`")
        channel.settimeout(self._timeout)
        started = time.monotonic()
        try:
            with _within(self._timeout, lambda: close_channel(channel)):  # paramiko waits for this answer for ever
                channel.exec_command(bundle().command())
            self._took(time.monotonic() - started)
            if self.quickest < _AGENT_STARTS:  # these answers waited for processes to start
                self._took(self.probe(self._timeout))
            _greeted(channel, bundle(), self.host.name)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if isinstance(error, TimeoutError) or time.monotonic() - started > self._timeout:
                raise Unreachable(f"`{self.host.name}` let us in, but its agent did not start in time", GONE) from None
            raise _lost(self.host, error) from None
        channel.settimeout(None)
        return channel

    def open_port(self, port: int) -> Stream:
        """A stream to `port` on the runtime's own loopback. Raises Unreachable where nobody listens."""
        return self.open_port_channel(port)

    def open_port_channel(self, port: int) -> paramiko.Channel:
        """The channel of such a stream."""
        return self._channel("direct-tcpip", ("127.0.0.1", port), f"port {port} of `{self.host.name}`")

    def reverse(self, port: int, local: int) -> Stream:
        """Lead what connects to `port` on the runtime to `local` here, until the stream that comes back is closed.

        Its end of file says that this has ended by itself. Raises Refused where the port cannot be had.
        """
        ours, theirs = socket.socketpair()
        self.listen(port, lambda channel: _lead(channel, local))
        threading.Thread(target=self._unlisten_after, args=(port, theirs), daemon=True).start()
        threading.Thread(target=self._end_with_us, args=(theirs,), daemon=True).start()
        return ours

    def listen(self, port: int, arrived: Callable[[paramiko.Channel], None]) -> None:
        """Have each connection to `port` on the runtime's own loopback handed to `arrived`, in a thread of its own."""
        import paramiko

        try:
            with self._asking:
                self._transport.request_port_forward("127.0.0.1", port, self._incoming)
        except paramiko.SSHException:
            raise Refused(
                f"port {port} of `{self.host.name}` cannot be listened on",
                "something may use it there, or its sshd does not allow forwarding",
            ) from None
        self._arrivals[port] = arrived

    def unlisten(self, port: int) -> None:
        """Listen there no longer."""
        self._arrivals.pop(port, None)
        with suppress(Exception), self._asking:
            self._transport.global_request("cancel-tcpip-forward", ("127.0.0.1", port))

    def _incoming(self, channel: paramiko.Channel, origin: tuple[str, int], server: tuple[str, int]) -> None:
        arrived = self._arrivals.get(server[1], lambda channel: channel.close())
        threading.Thread(target=arrived, args=(channel,), daemon=True).start()

    def _unlisten_after(self, port: int, stream: socket.socket) -> None:
        with suppress(OSError):
            stream.recv(1)
        self.unlisten(port)

    def _end_with_us(self, stream: socket.socket) -> None:
        self.wait()
        with suppress(OSError):
            stream.shutdown(socket.SHUT_RDWR)

    def host_key(self) -> tuple[str, str]:
        """Type and base64 of the host key, which is the pinned one."""
        key = self._transport.get_remote_server_key()
        return key.get_name(), key.get_base64()

    @property
    def alive(self) -> bool:
        """Whether nothing has ended it yet; a far end that went without a word is found by `probe` only."""
        return bool(self._transport.is_active())

    def wait(self) -> None:
        """Return when it has ended."""
        self._transport.join()

    @property
    def passed(self) -> tuple[int, int]:
        """Bytes that went up and came down, with all that SSH adds."""
        return self._stream.up, self._stream.down

    def probe(self, patience: float) -> float:
        """Ask whether the far end is there: seconds until it said so. It is hung up on after `patience` seconds."""
        started = time.monotonic()
        with _within(patience, self.close), self._asking, suppress(Exception):
            # Refused by most servers, but answered by all; paramiko's own keep-alive asks for no answer.
            self._transport.ask("keepalive@openssh.com")
        return time.monotonic() - started

    def close(self) -> None:
        """End it and everything on it."""
        with suppress(OSError):  # wakes its reader, which else looks up once in a while
            self._stream.shutdown(socket.SHUT_RDWR)
        self._transport.close()

    def _channel(self, kind: str, target: tuple[str, int] | None, what: str) -> paramiko.Channel:
        import paramiko

        started = time.monotonic()
        try:
            channel = self._transport.open_channel(kind, target, ("127.0.0.1", 0), timeout=self._timeout)
            self._took(time.monotonic() - started)
            return channel
        except (paramiko.SSHException, EOFError, OSError) as error:
            if not (self.alive and _is_refusal(error)):
                raise _lost(self.host, error) from None
            if kind == "session":
                raise Crowded(f"{what} lets in no further session", "end a command that uses it") from None
            raise Unreachable(f"{what} refused to be opened: {getattr(error, 'text', error)}") from None

    def _took(self, seconds: float) -> None:
        self.quickest = min(self.quickest or math.inf, seconds)


class Counted:
    """A socket that counts its bytes, and tells when SSH's first have come: the host key is asked for then."""

    def __init__(self, stream: Dialled, told: Told) -> None:
        self._stream, self._told = stream, told
        self._greeting = b""
        self.up = self.down = 0

    def greet(self, version: str) -> None:
        """Say which SSH is spoken here, before there is a transport, which will say it once more: that is not sent."""
        greeting = f"{version}\r\n".encode("ascii")
        with suppress(OSError):  # the transport will find out that nobody listens
            self.send(greeting)
        self._greeting = greeting

    def send(self, data: bytes) -> int:
        """Send some of `data`, as a socket does."""
        if data == self._greeting:
            self._greeting = b""
            return len(data)
        sent = self._stream.send(data)
        self.up += sent
        return sent

    def recv(self, count: int) -> bytes:
        """Up to `count` bytes."""
        data = self._stream.recv(count)
        if not self.down and data.startswith(b"SSH-"):
            self._told("host key")
        self.down += len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _within(seconds: float, give_up: Callable[[], None]) -> Iterator[None]:
    """Have what is done inside end by `give_up` after so many seconds."""
    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def widen(channel: paramiko.Channel, count: int) -> None:
    """Let the far end of `channel` send `count` bytes more."""
    if channel.closed or channel.eof_received:
        return  # Dropbear ends the connection of who speaks of a channel that is closed
    import paramiko

    message = paramiko.Message()
    message.add_byte(paramiko.common.cMSG_CHANNEL_WINDOW_ADJUST)
    message.add_int(channel.remote_chanid)
    message.add_int(count)
    with suppress(paramiko.SSHException, OSError, EOFError):  # then it has ended, and so has its stream
        channel.get_transport()._send_user_message(message)  # type: ignore[attr-defined]


def filling(delay: float) -> int:
    """Bytes under way that fill a line of that delay: more is sshd's to keep, which copies all of it for each piece."""
    return min(CAP, int(delay * FASTEST))


def _fill_the_line(channel: paramiko.Channel, round_trip: float) -> None:
    enough = filling(round_trip)
    if enough > channel.in_window_size:
        widen(channel, enough - channel.in_window_size)
    channel.out_window_size = min(channel.out_window_size, max(_LEAST, enough))


def _is_refusal(error: Exception) -> bool:
    """Whether a channel was refused, where the connection goes on. paramiko gives one of two at once no reason."""
    import paramiko

    return isinstance(error, paramiko.ChannelException) or str(error) == "Unable to open channel."


def close_channel(channel: paramiko.Channel) -> None:
    """Close it, also where the connection has just broken: who lent it has still to hear of that."""
    with suppress(OSError, EOFError):
        channel.close()


def words(error: Exception) -> str:
    """What an error says, or its name."""
    return str(error) or type(error).__name__


def _lead(channel: paramiko.Channel, local: int) -> None:
    """Join an arrival with whoever listens at the port `local` here; nobody there hangs up on it."""
    try:
        join(channel, socket.create_connection(("127.0.0.1", local)))
    except OSError:
        channel.close()


def _greeted(channel: paramiko.Channel, sent: Bundle, host: str) -> None:
    """Read up to the agent's greeting, sending the bundle where it is asked for."""
    line = _marked_line(channel, host)
    if line == sent.needed:
        channel.sendall(sent.archive)
        line = _marked_line(channel, host)
    if line == sent.greeting:
        return
    word, _, rest = line.removeprefix(MARK).decode("utf-8", "replace").strip().partition(" ")
    if word == "python":
        raise ColabRemoteError(
            f"`{host}` has Python {rest}, and 3.9 is the oldest that works", "install a newer `python3` there"
        )
    raise ColabRemoteError(f"the agent cannot start on `{host}`: {rest or word}", "see to that over there, then again")


def _marked_line(channel: paramiko.Channel, host: str) -> bytes:
    said = b""
    while (start := said.find(MARK)) < 0 or not said.endswith(b"\n"):
        piece = channel.recv(1 << 12)
        said += piece
        if not piece or len(said) > _NOISE:
            raise _no_agent(channel, said, host)
    return said[start:]


def _no_agent(channel: paramiko.Channel, said: bytes, host: str) -> ColabRemoteError:
    if len(said) > _NOISE:
        return ColabRemoteError(f"the login shell of `{host}` prints without end", "quieten its start-up files")
    status = channel.recv_exit_status()
    if status == -1 and not said:  # no status at all: the far end, or its whole machine, was ended
        return Unreachable(f"contact with `{host}` was lost before its agent began", GONE)
    if status == 127:
        return ColabRemoteError(f"`{host}` has no `python3`", "install Python 3.9 or later there")
    last = (channel.recv_stderr(_NOISE) or said).decode("utf-8", "replace").strip().rpartition("\n")[2]
    return ColabRemoteError(f"the agent did not start on `{host}`: {last or 'it said nothing'}")


def _lost(host: Host, error: Exception) -> Unreachable:
    return Unreachable(f"contact with `{host.name}` was lost: {words(error)}", GONE)
