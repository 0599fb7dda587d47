"""sshd behind a WebSocket, for ways out that carry only HTTP. SSH itself authenticates both ends."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from colab_remote.ticket import SSH_PATH

_PIECE = 1 << 18  # bytes in a frame
_FRAME = 1 << 20  # bytes in the largest frame that is taken
_PING = 15  # seconds between two pings, and for the answer: half-open connections are noticed within twice that


class Bridge:
    """A WebSocket server on loopback, in a thread of its own; each binary stream is joined to `host`'s `port`.

    `self.port` is its own port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._sshd = host, port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
        self.port: int = next(iter(self._server.sockets)).getsockname()[1]

    def alive(self) -> bool:
        """Whether it still takes connections."""
        return self._thread.is_alive() and self._server.is_serving()

    def close(self) -> None:
        """End it, and every connection."""
        self._server.close()
        asyncio.run_coroutine_threadsafe(self._server.wait_closed(), self._loop).result(_PING)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(self) -> Server:
        # SSH is dense already: deflate would cost nine tenths of the speed and save nothing.
        return await serve(
            self._join,
            "127.0.0.1",
            0,
            process_request=_expect_path,
            compression=None,
            max_size=_FRAME,
            ping_interval=_PING,
            ping_timeout=_PING,
            close_timeout=1,
            server_header=None,
        )

    async def _join(self, outside: ServerConnection) -> None:
        try:
            reader, writer = await asyncio.open_connection(*self._sshd, limit=_FRAME)
        except OSError:
            await outside.close(1013, "sshd does not answer")
            return
        coming = asyncio.create_task(_up(outside, writer))
        try:
            while piece := await reader.read(_PIECE):
                await outside.send(piece)
        except (ConnectionClosed, OSError):
            pass
        finally:
            coming.cancel()
            writer.close()
            with suppress(asyncio.CancelledError, OSError):
                await coming


async def _up(outside: ServerConnection, writer: asyncio.StreamWriter) -> None:
    """What comes in frames, to sshd; its end ends sshd's side too."""
    with suppress(ConnectionClosed, OSError):
        async for piece in outside:
            if isinstance(piece, str):
                break
            writer.write(piece)
            await writer.drain()
    writer.close()


async def _expect_path(outside: ServerConnection, request: Request) -> Response | None:
    if request.path == SSH_PATH:
        return None
    return outside.respond(HTTPStatus.NOT_FOUND, "nothing is here\n")
