"""sshd behind a WebSocket, for ways out that carry only HTTP. SSH itself authenticates both ends.

Two transports hand each other what arrives, with no task and no queue between them: those cost a third more CPU.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
from concurrent.futures import Future
from http import HTTPStatus

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from colab_remote.both.memory import keep_freed_memory
from colab_remote.both.websocket import LARGEST, PATH, PING

_FULL = 1 << 20  # bytes that wait for one side before the other is no longer read
_GOODBYE = 1.0  # seconds for the laptop to answer the end


class Bridge:
    """A WebSocket server on loopback, in a thread of its own; each binary stream is joined to `host`'s `port`.

    `self.port` is its own port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._sshd = host, port
        self._outsides: set[_Outside] = set()
        self._up: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._loop, self._ended, self.port = self._up.result()

    def alive(self) -> bool:
        """Whether it still takes connections."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End it, and every connection; it may have ended before."""
        with contextlib.suppress(RuntimeError):  # its loop is closed by then
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    async def _serve(self) -> None:
        keep_freed_memory()
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        server = await loop.create_server(lambda: _Outside(self._sshd, self._outsides), "127.0.0.1", 0)
        self._up.set_result((loop, ended, server.sockets[0].getsockname()[1]))
        await ended.wait()
        server.close()
        for outside in list(self._outsides):
            outside.transport.abort()
        await asyncio.sleep(0)  # each hears of it in a turn of its own


class _Outside(asyncio.Protocol):
    """The laptop's side of a connection: SSH in binary frames."""

    transport: asyncio.Transport

    def __init__(self, sshd: tuple[str, int], outsides: set[_Outside]) -> None:
        self._sshd, self._outsides = sshd, outsides
        # Without compression: SSH is dense already, deflate would cost nine tenths of the speed and save nothing.
        self._websocket = ServerProtocol(max_size=LARGEST)
        self._inside: _Inside | None = None
        self._joining: asyncio.Task[None] | None = None
        self._heard = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(_FULL)
        self.transport = transport
        self._outsides.add(self)
        self._later = asyncio.get_running_loop().call_later(PING, self._ask)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._websocket.receive_data(data)
        for event in self._websocket.events_received():
            if isinstance(event, Request):
                self._admit(event)
            elif isinstance(event, Frame):
                self._take(event)
        self._flush()

    def eof_received(self) -> None:
        self._websocket.receive_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self._outsides.discard(self)
        self._later.cancel()
        if self._joining:
            self._joining.cancel()
        if self._inside:
            self._inside.transport.close()

    def pause_writing(self) -> None:
        if self._inside:
            self._inside.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._inside:
            self._inside.transport.resume_reading()

    def carry(self, data: bytes) -> None:
        """Send what sshd said."""
        if self._websocket.state is State.OPEN:
            self._websocket.send_binary(data)
            self._flush()

    def end(self, code: CloseCode, why: str) -> None:
        """Say that no more will come, and hang up."""
        if self.transport.is_closing():
            return
        if self._websocket.state is State.OPEN:
            self._websocket.send_close(code, why)
            self._flush()
        self._later.cancel()
        self._later = asyncio.get_running_loop().call_later(_GOODBYE, self.transport.abort)

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT:
            self._websocket.fail(CloseCode.UNSUPPORTED_DATA, "SSH is binary")
        elif frame.opcode in (Opcode.BINARY, Opcode.CONT) and self._inside:
            self._inside.transport.write(frame.data)

    def _admit(self, request: Request) -> None:
        if request.path != PATH:
            self._websocket.send_response(self._websocket.reject(HTTPStatus.NOT_FOUND, "nothing is here\n"))
            return
        self._websocket.send_response(self._websocket.accept(request))
        if self._websocket.state is State.OPEN:
            self.transport.pause_reading()
            self._joining = asyncio.create_task(self._join())

    async def _join(self) -> None:
        try:
            _, self._inside = await asyncio.get_running_loop().create_connection(lambda: _Inside(self), *self._sshd)
        except OSError:
            self.end(CloseCode.TRY_AGAIN_LATER, "sshd does not answer")
        self.transport.resume_reading()

    def _flush(self) -> None:
        for data in self._websocket.data_to_send():
            if data:
                self.transport.write(data)
            else:
                self.transport.close()

    def _ask(self) -> None:
        """Hang up on who has not shaken hands or not answered by now; ask the others."""
        if (self.transport.is_reading() and not self._heard) or self._websocket.state is not State.OPEN:
            self.transport.abort()
            return
        self._heard = False
        self._websocket.send_ping(b"")
        self._flush()
        self._later = asyncio.get_running_loop().call_later(PING, self._ask)


class _Inside(asyncio.Protocol):
    """sshd's side of a connection."""

    transport: asyncio.Transport

    def __init__(self, outside: _Outside) -> None:
        self._outside = outside

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(_FULL)
        self.transport = transport
        self._socket: socket.socket = transport.get_extra_info("socket")

    def data_received(self, data: bytes) -> None:
        if sys.platform == "linux":
            # sshd holds a small packet back until the one before is acknowledged, for which Linux takes 40 ms.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._outside.carry(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._outside.end(CloseCode.NORMAL_CLOSURE, "")

    def pause_writing(self) -> None:
        self._outside.transport.pause_reading()

    def resume_writing(self) -> None:
        self._outside.transport.resume_reading()
