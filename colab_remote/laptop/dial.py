"""From a ticket to a connected stream that carries SSH."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, TypeAlias

from colab_remote.errors import Refused, Unreachable
from colab_remote.ticket import Ticket

if TYPE_CHECKING:
    from colab_remote.laptop.websocket import WebSocketStream

Dialled: TypeAlias = "socket.socket | WebSocketStream"

GONE = "the cell has stopped, or the VM is gone: run the cell again, then `connect` the ticket that it shows"
PATIENCE = 20.0  # seconds to reach a runtime, unless --timeout says otherwise
_BUFFER = 2 << 20  # bytes; a socket's own default gives less than half of the throughput


def dial(ticket: Ticket, timeout: float) -> Dialled:
    """A stream to the ticket's sshd, ready within `timeout` seconds. Raises Unreachable, Refused, ProviderRefused."""
    if ticket.via:
        # Only here: most hosts have no use for it.
        from colab_remote.laptop.jump import dial_through

        return dial_through(ticket.via, ticket.host, ticket.port or 22, timeout)
    return dial_address(ticket.scheme, ticket.host, ticket.port, timeout)


def dial_address(scheme: str, host: str, port: int | None, timeout: float) -> Dialled:
    """A stream to the sshd at an address of a ticket. Raises Unreachable, Refused, ProviderRefused."""
    if scheme in ("ws", "wss"):
        # Only here: it takes longer to import than most commands to run.
        from colab_remote.laptop.websocket import dial_websocket

        return dial_websocket(scheme, host, port, timeout, _tcp)
    if scheme != "ssh":
        raise _unknown(f"{scheme}:")
    return _tcp(host, port or 22, timeout)


def _unknown(way: str) -> Refused:
    return Refused(f"this colab-remote does not know the way `{way}` of this ticket", "update it on this laptop")


def _tcp(host: str, port: int, timeout: float) -> socket.socket:
    try:
        stream = socket.create_connection((host, port), timeout)
    except (OSError, UnicodeError) as error:
        raise _sentence(error, f"{host}:{port}", timeout) from None
    # SSH's handshake and every keystroke are small packets: waiting to fill one costs round trips.
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    return stream


def _sentence(error: OSError | UnicodeError, address: str, timeout: float) -> Unreachable:
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return Unreachable(
            f"no address is known for `{address.rpartition(':')[0]}`",
            f"check this laptop's network; if that is well, {GONE}",
        )
    if isinstance(error, TimeoutError):
        return Unreachable(f"`{address}` did not answer within {timeout:g} s", GONE)
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(f"nobody listens at `{address}`", GONE)
    return Unreachable(f"`{address}` cannot be reached: {error.strerror or type(error).__name__}", GONE)
