"""Ports of the runtime as ports of this laptop, and the other way round."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from colab_remote.errors import ColabRemoteError, Refused, Unreachable
from colab_remote.laptop.arrivals import arrivals
from colab_remote.laptop.conversation import Stream

_PIECE = 1 << 18


def listen_here(port: int) -> socket.socket:
    """A socket that listens at `port` of this laptop's own loopback. Raises Refused."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise Refused(
            f"port {port} of this laptop cannot be used: {error.strerror}", "name another: PORT:LOCAL"
        ) from None


def lead_there(listener: socket.socket, open_stream: Callable[[], Stream], say: Callable[[str], None]) -> None:
    """Join each connection to `listener` with a stream of its own, until the listener is closed."""

    def lead(client: socket.socket) -> None:
        try:
            join(client, open_stream())
            return
        except ColabRemoteError as error:
            why = error.message
        except OSError as error:
            why = f"this laptop: {error.strerror or error}"
        client.close()
        say(why)

    for client in arrivals(listener):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=lead, args=(client,), daemon=True).start()


def keep_reversed(reverse: Callable[[], Stream], say: Callable[[str], None], ended: threading.Event) -> None:
    """Keep a port of the runtime led here, again after lost contact. Raises Refused where it cannot be had."""
    while not ended.is_set():
        try:
            stream = reverse()
            while stream.recv(1):
                pass
            stream.close()
        except (OSError, Unreachable) as error:
            say(f"{error}; trying again")
        ended.wait(1)


def join(one: Stream, other: Stream) -> None:
    """Carry bytes both ways until both directions have ended; an end of file travels on as one."""
    back = threading.Thread(target=_carry, args=(other, one), daemon=True)
    back.start()
    _carry(one, other)
    back.join()
    one.close()
    other.close()


def _carry(source: Stream, sink: Stream) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE):
            sink.sendall(data)
    with suppress(OSError, EOFError):
        sink.shutdown(socket.SHUT_WR)
