"""From a ticket to a connected stream that carries SSH."""

from __future__ import annotations

import socket

from colab_remote.errors import Refused, Unreachable
from colab_remote.ticket import Ticket

GONE = "the cell has stopped, or the VM is gone: run the cell again, then `connect` the ticket that it shows"
_BUFFER = 2 << 20  # bytes; a socket's own default gives less than half of the throughput


def dial(ticket: Ticket, timeout: float) -> socket.socket:
    """A stream to the ticket's sshd, ready within `timeout` seconds. Raises Unreachable, Refused."""
    if ticket.scheme != "ssh" or ticket.via:
        way = "via" if ticket.via else f"{ticket.scheme}:"
        raise Refused(f"this colab-remote does not know the way `{way}` of this ticket", "update it on this laptop")
    assert ticket.port is not None
    return _tcp(ticket.host, ticket.port, timeout)


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
