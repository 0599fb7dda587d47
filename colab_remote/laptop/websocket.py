"""SSH carried in WebSocket frames: for tickets that begin with `wss://`, and `ws://` on this machine."""

from __future__ import annotations

import errno
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable

from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidStatus,
    WebSocketException,
)
from websockets.sync.client import ClientConnection, connect

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


class _Wide(ClientConnection):
    """A connection that takes a whole frame at once."""

    recv_bufsize = PIECE


class WebSocketStream:
    """A WebSocket as the socket that an SSH client wants: a stream of bytes."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
        self._rest = memoryview(b"")
        self._timeout: float | None = None
        self._closed = False  # paramiko looks at it, as a socket has it

    def settimeout(self, seconds: float | None) -> None:
        """How long `recv` waits, in seconds; None for ever."""
        self._timeout = seconds

    def send(self, data: bytes | memoryview) -> int:
        """Send some of `data`; how many bytes. Raises OSError when the other side is gone."""
        piece = data[:PIECE]
        try:
            self._websocket.send(piece)
        except ConnectionClosed as error:
            raise _broken(error) from None
        return len(piece)

    def sendall(self, data: bytes) -> None:
        """Send all of `data`. Raises OSError when the other side is gone."""
        view = memoryview(data)
        while view:
            view = view[self.send(view) :]

    def recv(self, count: int) -> bytes:
        """Up to `count` bytes, none at the end. Raises TimeoutError, and OSError where it broke off before."""
        if not self._rest:
            try:
                message = self._websocket.recv(self._timeout)
            except ConnectionClosedOK:
                return b""
            except ConnectionClosed as error:
                raise _broken(error) from None
            if isinstance(message, bytes) and len(message) <= count:
                return message  # not copied once more
            self._rest = memoryview(message if isinstance(message, bytes) else b"")
        piece, self._rest = self._rest[:count], self._rest[count:]
        return bytes(piece)

    def shutdown(self, how: int) -> None:
        """End both ways: a WebSocket has no half that stays open."""
        self._websocket.close()

    def getpeername(self) -> object:
        """The other end's address."""
        return self._websocket.remote_address

    def close(self) -> None:
        """End it."""
        self._closed = True
        self._websocket.close()


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
        websocket = connect(
            f"ws://{name}{PATH}",  # its TLS is there
            sock=stream,
            compression=None,
            additional_headers={"ngrok-skip-browser-warning": "1"},
            max_size=LARGEST,
            open_timeout=max(0.1, deadline - time.monotonic()),
            close_timeout=1,
            ping_interval=PING,
            ping_timeout=PING,
            proxy=None,
            create_connection=_Wide,
        ).__enter__()  # which later versions ask for
    except BaseException as error:
        stream.close()
        raise _sentence(error, name, timeout) from None
    return WebSocketStream(websocket)


def _broken(error: ConnectionClosed) -> ConnectionResetError:
    # With a number, as the system's own have: paramiko ends in a defect where there is none.
    return ConnectionResetError(errno.ECONNRESET, str(error))


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
    # websockets asserts that nobody speaks before the handshake.
    if isinstance(error, (InvalidHandshake, WebSocketException, EOFError, OSError, AssertionError)):
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
