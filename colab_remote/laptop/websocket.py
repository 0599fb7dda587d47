"""SSH carried in WebSocket frames: for tickets that begin with `wss://`, and `ws://` on this machine."""

from __future__ import annotations

import errno
import math
import re
import select
import socket
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from colab_remote.both.websocket import LARGEST, PATH, PIECE, PING
from colab_remote.errors import ProviderRefused, Unreachable

_AGAIN = "run the cell again; with the same ngrok account the address stays, and no new `connect` is needed"
# ngrok's codes: https://ngrok.com/docs/errors
_MEANINGS: dict[str, tuple[type[Unreachable | ProviderRefused], str, str]] = {
    "ERR_NGROK_3200": (Unreachable, "the endpoint is offline: the cell has stopped, or the VM is gone", _AGAIN),
    "ERR_NGROK_8012": (Unreachable, "ngrok's agent runs, but what is behind it does not answer", _AGAIN),
    "ERR_NGROK_6024": (
        ProviderRefused,
        "ngrok answers with its page for browsers",
        "update colab-remote; if that does not help, open the address in a browser once and agree",
    ),
    "ERR_NGROK_725": (
        ProviderRefused,
        "the ngrok account's traffic for this month is used up",
        "https://dashboard.ngrok.com/usage shows it; wait for the next month, or take a plan",
    ),
    "ERR_NGROK_734": (ProviderRefused, "too many connections a minute for this ngrok account", "wait a minute"),
}
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_SSH = (Opcode.BINARY, Opcode.CONT)


class WebSocketStream:
    """A WebSocket as the socket that an SSH client wants: a stream of bytes, which one thread reads and one writes.

    Neither waits while it holds the lock: the states of OpenSSL and of the protocol are for one at a time. The one
    that reads sees to the pings too.
    """

    def __init__(self, stream: socket.socket, websocket: ClientProtocol) -> None:
        stream.setblocking(False)
        self._stream, self._websocket = stream, websocket
        self._lock = threading.Lock()
        self._unsent: deque[memoryview] = deque()
        self._rest = memoryview(b"")
        self._timeout: float | None = None
        self._closed = False  # paramiko looks at it, as a socket has it
        self._heard = self._asked = time.monotonic()

    def settimeout(self, seconds: float | None) -> None:
        """How long `recv` waits, in seconds; None for ever."""
        self._timeout = seconds

    def shake_hands(self) -> None:
        """Ask for the WebSocket. Raises InvalidHandshake, TimeoutError, OSError."""
        request = self._websocket.connect()
        request.headers["ngrok-skip-browser-warning"] = "1"
        self._websocket.send_request(request)
        with self._lock:
            self._flush()
        until = self._until()
        while self._websocket.state is State.CONNECTING and self._websocket.handshake_exc is None:
            self._rest = self._read(until)
        if self._websocket.handshake_exc:
            raise self._websocket.handshake_exc

    def send(self, data: bytes | memoryview) -> int:
        """Send some of `data`; how many bytes. Raises OSError when the other side is gone."""
        piece = data[:PIECE]
        with self._lock:
            if self._websocket.state is not State.OPEN:
                raise _broken()
            self._websocket.send_binary(piece)
            gone = self._flush()
        while not gone:
            self._wait(None, writing=True)
            with self._lock:
                gone = self._flush()
        return len(piece)

    def sendall(self, data: bytes) -> None:
        """Send all of `data`. Raises OSError when the other side is gone."""
        view = memoryview(data)
        while view:
            view = view[self.send(view) :]

    def recv(self, count: int) -> bytes:
        """Up to `count` bytes, none at the end. Raises TimeoutError, and OSError where it broke off before."""
        until = self._until()
        try:
            while not self._rest and self._websocket.state is State.OPEN:
                self._rest = self._read(until)
        except OSError:
            if not self._closed:
                raise
        if not self._rest and not self._closed and not self._said_goodbye():
            raise _broken()
        piece, self._rest = self._rest[:count], self._rest[count:]
        return bytes(piece)

    def shutdown(self, how: int) -> None:
        """End both ways: a WebSocket has no half that stays open."""
        self.close()

    def getpeername(self) -> object:
        """The other end's address."""
        return self._stream.getpeername()

    def close(self) -> None:
        """End it."""
        self._closed = True
        with self._lock:
            if self._websocket.state is State.OPEN:
                self._websocket.send_close(CloseCode.NORMAL_CLOSURE)
            with suppress(OSError):
                self._flush()
        self._hang_up()
        self._stream.close()

    def _hang_up(self) -> None:
        with self._lock, suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)  # wakes who waits for it

    def _said_goodbye(self) -> bool:
        said = self._websocket.close_rcvd
        return said is not None and said.code in (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY)

    def _until(self) -> float:
        return math.inf if self._timeout is None else time.monotonic() + self._timeout

    def _read(self, until: float) -> memoryview:
        """What has come, after a wait for it; often nothing. Raises TimeoutError, OSError."""
        with self._lock:
            try:
                self._feed(self._stream.recv(PIECE))
            except _NOT_YET:
                came = False
            else:
                came = True
            events = self._websocket.events_received()
            self._flush()
        if not came:
            self._await_sign(until)
        pieces = [event.data for event in events if isinstance(event, Frame) and event.opcode in _SSH]
        return memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _feed(self, data: bytes) -> None:
        self._heard = time.monotonic()
        if data:
            self._websocket.receive_data(data)
        else:
            self._websocket.receive_eof()

    def _await_sign(self, until: float) -> None:
        """Wait for bytes to read, and ask for a sign of life where none come. Raises TimeoutError, OSError."""
        now = time.monotonic()
        if now >= until:
            raise TimeoutError("timed out")
        if self._asked <= self._heard and now >= self._heard + PING and self._websocket.state is State.OPEN:
            self._asked = now
            with self._lock:
                self._websocket.send_ping(b"")
                self._flush()
        limit = max(self._heard, self._asked) + PING
        if now >= limit:
            self._hang_up()
            raise _broken()
        self._wait(min(until, limit) - now)

    def _wait(self, seconds: float | None, writing: bool = False) -> None:
        here = [self._stream]
        with suppress(ValueError):  # it was closed in the meantime, which the next use of it says
            select.select([] if writing else here, here if writing else [], [], seconds)

    def _flush(self) -> bool:
        """Send what waits, as far as that goes at once; whether all went. For who has the lock. Raises OSError."""
        self._unsent.extend(memoryview(data) for data in self._websocket.data_to_send() if data)
        while self._unsent:
            try:
                sent = self._stream.send(self._unsent[0])
            except _NOT_YET:
                return False
            self._unsent[0] = self._unsent[0][sent:]
            if not self._unsent[0]:
                self._unsent.popleft()
        return True


def dial_websocket(
    scheme: str,
    host: str,
    port: int | None,
    timeout: float,
    connect_to: Callable[[int], socket.socket],
    told: Callable[[str], None],
) -> WebSocketStream:
    """A stream to the sshd behind `scheme`://`host`, ready within `timeout` seconds.

    `connect_to` connects to a port of the host, and `told` hears of each step as it begins. Raises Unreachable,
    ProviderRefused.
    """
    name = f"{host}:{port}" if port else host
    deadline = time.monotonic() + timeout
    stream = connect_to(port or (443 if scheme == "wss" else 80))
    try:
        if scheme == "wss":
            told("TLS")
            stream.settimeout(max(0.1, deadline - time.monotonic()))
            stream = _trust().wrap_socket(stream, server_hostname=host)
        told("upgrade")
        websocket = WebSocketStream(stream, ClientProtocol(parse_uri(f"{scheme}://{name}{PATH}"), max_size=LARGEST))
        websocket.settimeout(max(0.1, deadline - time.monotonic()))
        websocket.shake_hands()
        websocket.settimeout(None)
    except BaseException as error:
        stream.close()
        raise _sentence(error, name, timeout) from None
    return websocket


def _broken() -> ConnectionResetError:
    # With a number, as the system's own have: paramiko ends in a defect where there is none.
    return ConnectionResetError(errno.ECONNRESET, "the WebSocket broke off")


def _trust() -> ssl.SSLContext:
    """Whom this system lets vouch for a server. Python by itself does not ask macOS, and Windows not in full."""
    if sys.platform not in ("darwin", "win32"):
        return ssl.create_default_context()
    import truststore

    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context


def _sentence(error: BaseException, name: str, timeout: float) -> BaseException:
    if isinstance(error, InvalidStatus):
        return _refusal(error, name)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(
            f"`{name}` shows a certificate that this laptop does not trust: {error.verify_message}",
            "a company's proxy may open TLS: add its authority to the system's, or name its file in SSL_CERT_FILE",
        )
    if isinstance(error, TimeoutError):
        return Unreachable(f"`{name}` did not answer within {timeout:g} s", _AGAIN)
    if isinstance(error, (InvalidHandshake, WebSocketException, EOFError, OSError)):
        return Unreachable(f"`{name}` does not speak WebSocket: {error}", _AGAIN)
    return error


def _refusal(error: InvalidStatus, name: str) -> Unreachable | ProviderRefused:
    response = error.response
    said = response.headers.get("ngrok-error-code", "") + (response.body or b"")[:100_000].decode("utf-8", "replace")
    found = re.search(r"ERR_NGROK_[0-9]{1,9}", said)
    code = found[0] if found else ""
    if code in _MEANINGS:
        kind, message, hint = _MEANINGS[code]
        return kind(f"`{name}`: {message} ({code})", hint)
    if code:
        page = f"https://ngrok.com/docs/errors/{code.lower()}"
        return ProviderRefused(f"`{name}`: ngrok refuses ({code})", f"{page} says what to do")
    return Unreachable(f"`{name}` answers {response.status_code}, which is no runtime's answer", _AGAIN)
