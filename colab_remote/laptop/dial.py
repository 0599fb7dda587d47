"""From a ticket to a connected stream that carries SSH."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from colab_remote.errors import GONE, Unreachable

if TYPE_CHECKING:
    from colab_remote.laptop.hosts import Host
    from colab_remote.laptop.websocket import WebSocketStream

Dialled: TypeAlias = "socket.socket | WebSocketStream"
Told: TypeAlias = Callable[[str], None]  # hears of each step of the way as it begins

_AWAY = f"check this laptop's network, which may have a proxy (`connect --proxy URL`); if that is well, {GONE}"
_SOON = 0.1  # seconds that an address gets at the least
PATIENCE = 20.0  # seconds to reach a runtime, unless --timeout says otherwise
_BUFFER = 2 << 20  # bytes; a socket's own default gives less than half of the throughput


def dial(host: Host, timeout: float, told: Told = lambda step: None) -> Dialled:
    """A stream to the host's sshd, ready within `timeout` seconds. Raises Unreachable, Refused, ProviderRefused."""
    ticket = host.ticket
    # Only where they are needed: most hosts have no use for them.
    if ticket.via:
        from colab_remote.laptop.jump import dial_through

        told("relay")
        return dial_through(ticket.via, ticket.host, ticket.port or 22, timeout)
    if ticket.scheme == "colab":
        from colab_remote.laptop.google import dial_session

        told("Google's CLI")
        return dial_session(ticket.host, host.key, timeout)
    return dial_address(ticket.scheme, ticket.host, ticket.port, timeout, host.proxy, told)


def dial_address(
    scheme: str, host: str, port: int | None, timeout: float, proxy: str = "", told: Told = lambda step: None
) -> Dialled:
    """A stream to the sshd at an address of a ticket, see `dial`."""

    def connect(port: int) -> socket.socket:
        return _connected(host, port, timeout, proxy, told)

    if scheme in ("ws", "wss"):
        # Only here: it takes longer to import than most commands to run.
        from colab_remote.laptop.websocket import dial_websocket

        return dial_websocket(scheme, host, port, timeout, connect, told)
    return connect(port or 22)


def _connected(host: str, port: int, timeout: float, kept: str, told: Told) -> socket.socket:
    """A stream to an address, through the proxy that is on the way, if there is one."""
    from colab_remote.laptop.proxy import lead_on, proxy_to, unreachable_hint  # on a warm line nobody dials

    deadline = time.monotonic() + timeout
    proxy = proxy_to(host, port, kept)
    if proxy is None:
        return _tcp(host, port, timeout, told, _AWAY, GONE)
    hint = unreachable_hint(proxy)
    stream = _tcp(proxy.host, proxy.port, timeout, told, hint, hint)
    told("proxy")
    try:
        lead_on(stream, proxy, host, port, deadline - time.monotonic())
    except BaseException:
        stream.close()
        raise
    return stream


def _tcp(host: str, port: int, timeout: float, told: Told, unknown: str, gone: str) -> socket.socket:
    """A stream to an address; what to do about one that is not known, and about one where nobody answers."""
    address = f"{host}:{port}"
    told("name")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unreachable(f"no address is known for `{host}`", unknown) from None
    told("TCP")
    try:
        stream = _first_that_answers(found, timeout)
    except TimeoutError:
        raise Unreachable(f"`{address}` did not answer within {timeout:g} s", gone) from None
    except ConnectionRefusedError:
        raise Unreachable(f"nobody listens at `{address}`", gone) from None
    except OSError as error:
        raise Unreachable(f"`{address}` cannot be reached: {error.strerror or type(error).__name__}", gone) from None
    # SSH's handshake and every keystroke are small packets: waiting to fill one costs round trips.
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    return stream


def _first_that_answers(found: list[Any], timeout: float) -> socket.socket:
    """A connection to the first of the addresses that takes one, within `timeout` seconds for them all."""
    deadline = time.monotonic() + timeout
    for family, kind, protocol, _, address in found:
        stream = socket.socket(family, kind, protocol)
        stream.settimeout(max(_SOON, deadline - time.monotonic()))
        try:
            stream.connect(address)
            stream.settimeout(timeout)
            return stream
        except OSError as error:
            stream.close()
            failed = error
    raise failed
