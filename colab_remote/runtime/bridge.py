"""sshd behind a WebSocket, for ways out that carry only HTTP. SSH itself authenticates both ends."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from contextlib import suppress
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from colab_remote.both.websocket import LARGEST, PATH, PIECE, PING


class Bridge:
    """A WebSocket server on loopback, in a thread of its own; each binary stream is joined to `host`'s `port`.

    `self.port` is its own port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._sshd = host, port
        self._up: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._loop, self._ended, self.port = self._up.result()

    def alive(self) -> bool:
        """Whether it still takes connections."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End it, and every connection."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    async def _serve(self) -> None:
        ended = asyncio.Event()
        # SSH is dense already: deflate would cost nine tenths of the speed and save nothing.
        async with serve(
            self._join,
            "127.0.0.1",
            0,
            process_request=_expect_path,
            compression=None,
            max_size=LARGEST,
            ping_interval=PING,
            ping_timeout=PING,
            close_timeout=1,
            server_header=None,
        ) as server:
            port: int = next(iter(server.sockets)).getsockname()[1]
            self._up.set_result((asyncio.get_running_loop(), ended, port))
            await ended.wait()

    async def _join(self, outside: ServerConnection) -> None:
        try:
            inside = await asyncio.to_thread(socket.create_connection, self._sshd)
        except OSError:
            await outside.close(1013, "sshd does not answer")
            return
        with inside:
            inside.setblocking(False)
            inside.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            coming = asyncio.create_task(_up(outside, inside))
            loop = asyncio.get_running_loop()
            try:
                while piece := await loop.sock_recv(inside, PIECE):
                    await outside.send(piece)
                    await asyncio.sleep(0)  # while both sides keep up neither waits, and nobody else would have a turn
            except (ConnectionClosed, OSError):
                pass
            finally:
                coming.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await coming


async def _up(outside: ServerConnection, inside: socket.socket) -> None:
    """What comes in frames, to sshd; its end ends sshd's side too."""
    loop = asyncio.get_running_loop()
    with suppress(ConnectionClosed, OSError):
        async for piece in outside:
            if isinstance(piece, str):
                break
            await loop.sock_sendall(inside, piece)
    with suppress(OSError):
        inside.shutdown(socket.SHUT_RDWR)


async def _expect_path(outside: ServerConnection, request: Request) -> Response | None:
    if request.path == PATH:
        return None
    return outside.respond(HTTPStatus.NOT_FOUND, "nothing is here\n")
