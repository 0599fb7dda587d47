"""A bad network between two ends on this machine: delays, limits and cuts what passes through a port.

In user space, because the kernel here has no netem. Used by tests, scripts/bench and scripts/chaos.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType

CHUNK = 1 << 16
PACKET = 1 << 13  # where there is a rate: what is read at once is delivered at once
# Bytes on their way: a deep queue would act as a buffer that no real line has.
ON_THE_WAY = 1 << 22


class BadNetwork:
    """Forwards 127.0.0.1:`port` to `target` with `delay` seconds each way and at most `rate` bytes a second.

    `cut()` breaks every connection as a dead peer does, `down()` and `up()` refuse and admit new ones,
    `freeze()` and `thaw()` hold everything without breaking it. `passed` counts bytes both ways.
    """

    def __init__(self, target: tuple[str, int], *, delay: float = 0.0, rate: float | None = None) -> None:
        self.target, self.delay, self.rate = target, delay, rate
        self.passed = 0
        self._piece = PACKET if rate else CHUNK
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._admits = True
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> BadNetwork:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    def cut(self) -> None:
        """Break every connection that passes through now."""
        self._call(self._break)

    def down(self) -> None:
        """Admit no new connection, and break those that are there."""
        self._admits = False
        self.cut()

    def up(self) -> None:
        """Admit new connections again."""
        self._admits = True

    def freeze(self) -> None:
        """Let nothing pass; nobody is told."""
        self._call(self._flowing.clear)

    def thaw(self) -> None:
        """Let it pass again."""
        self._call(self._flowing.set)

    def _break(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def _call(self, action: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(action)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stopped = asyncio.Event()
        server = await asyncio.start_server(self._admit, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopped.wait()
        server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._admits:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        with suppress(asyncio.CancelledError):  # at the end; asyncio would print each of a server's tasks
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
        self._open -= {writer, far_writer}
        for end in (writer, far_writer):
            end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(ON_THE_WAY // self._piece)
        await asyncio.gather(self._take(reader, way.put), self._deliver(way.get, writer))

    async def _take(self, reader: asyncio.StreamReader, put: Callable[[tuple[float, bytes]], Awaitable[None]]) -> None:
        free_at = 0.0
        data = b"."
        while data:
            try:
                data = await reader.read(self._piece)
            except OSError:
                data = b""
            now = time.monotonic()
            free_at = max(free_at, now) + (len(data) / self.rate if self.rate else 0.0)
            await put((free_at + self.delay, data))

    async def _deliver(self, get: Callable[[], Awaitable[tuple[float, bytes]]], writer: asyncio.StreamWriter) -> None:
        while True:
            due, data = await get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._flowing.wait()
            if not data:
                break
            self.passed += len(data)
            if writer.is_closing():
                continue
            try:
                writer.write(data)
                await writer.drain()
            except OSError:
                continue
        if writer.can_write_eof() and not writer.is_closing():
            with suppress(OSError):  # it may have been cut in this moment
                writer.write_eof()
