"""A stand-in for Google, as its own program sees it: an account, its sessions, their kernels and their one door."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import tornado.web
import tornado.websocket
from jupyter_client.asynchronous.client import AsyncKernelClient
from sides import Runtime, until
from trusted import trusted

from colab_remote.laptop.forward import join

SITES = ("colab.research.google.com", "oauth2.googleapis.com")
ENTITLED = ("NONE", "T4")  # what the account may have
MOST = 2  # sessions at once


@dataclass
class Session:
    """A runtime that the account has: its kernel's process, and who is at its door."""

    endpoint: str
    accelerator: str
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    kernel: subprocess.Popen[bytes] | None = None
    at_the_door: object = None


class Google:
    """Answers the program on loopback; every session is the one machine of `environment`, with the sshd of `door`."""

    def __init__(self, folder: Path, python: Path, environment: dict[str, str], door: Runtime) -> None:
        self.folder, self.python, self.environment, self.door = folder, python, environment, door
        self.sessions: dict[str, Session] = {}
        self.asked: list[str] = []
        self.made = 0  # sessions, ever
        self.logged_in = True
        self.front = 0  # the port by which a laptop comes to a session, where that is not our own
        self._loop = asyncio.new_event_loop()
        self._site = socket.create_server(("127.0.0.1", 0))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(trusted(folder, *SITES))
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        threading.Thread(target=self._proxy, args=(tls,), daemon=True).start()

    def laptop(self, home: Path, programs: Path) -> dict[str, str]:
        """Log a laptop in; the variables by which it has the program, and its way out leads here."""
        config = home / ".config" / "colab-cli"
        config.mkdir(parents=True)
        expiry = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        login = {"token": "t", "refresh_token": "r", "client_id": "i", "client_secret": "s", "expiry": expiry}
        (config / "token.json").write_text(json.dumps(login))
        (config / "settings.json").write_text('{"enable_update_check": false}')
        return {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HTTPS_PROXY": f"http://127.0.0.1:{self._site.getsockname()[1]}",
            "NO_PROXY": "127.0.0.1",
            "REQUESTS_CA_BUNDLE": str(self.folder / "server.pem"),
        }

    def take_back(self) -> None:
        """Reclaim every session, as Google does at 3 a.m."""
        for session in list(self.sessions.values()):
            self._loop.call_soon_threadsafe(self.end, session)
        until(lambda: not self.sessions)

    def end(self, session: Session) -> None:
        """End a session, whoever is at its door."""
        self.sessions.pop(session.endpoint)
        if isinstance(session.at_the_door, _Door):
            session.at_the_door.close()
        if session.kernel:
            session.kernel.kill()
            session.kernel.wait()

    def close(self) -> None:
        self.take_back()
        self._site.shutdown(socket.SHUT_RDWR)
        self._site.close()
        self._loop.call_soon_threadsafe(self._server.stop)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def known(self, token: str) -> Session | None:
        """The session that a runtime's proxy token is for."""
        return next((session for session in self.sessions.values() if session.token == token), None)

    def facts(self, session: Session) -> dict[str, Any]:
        """A session as Google lists it."""
        proxy = {
            "token": session.token,
            "tokenExpiresInSeconds": 3600,
            "url": f"http://127.0.0.1:{self.front or self.port}",
        }
        gpu = session.accelerator != "NONE"
        facts = {"accelerator": session.accelerator, "endpoint": session.endpoint, "variant": int(gpu)}
        return {**facts, "machineShape": 0, "runtimeProxyInfo": proxy}

    async def client(self, session: Session) -> AsyncKernelClient:
        """A client of the session's kernel, which is started when it is first asked for."""
        file = self.folder / f"{session.endpoint}.json"
        if session.kernel is None:
            words = [str(self.python), "-m", "ipykernel_launcher", "-f", str(file)]
            session.kernel = subprocess.Popen(words, env=self.environment, cwd=self.folder)
        while not file.exists() or not file.stat().st_size:
            await asyncio.sleep(0.05)
        client = AsyncKernelClient(connection_file=str(file))
        client.load_connection_file()
        client.start_channels()
        await client.wait_for_ready()
        return client

    async def _listen(self) -> int:
        routes: list[Any] = [
            (r"/tun/m/(assign|assignments|ccu-info|unassign/.*)", _Account, {"google": self}),
            (r"/token", _Login),
            (r"/api/kernels", _Kernels, {"google": self}),
            (r"/api/kernels/([^/]+)", _Kernels, {"google": self}),
            (r"/api/kernels/([^/]+)/channels", _Channels, {"google": self}),
            (r"/colab/ssh", _Door, {"google": self}),
        ]
        self._server = tornado.web.Application(routes).listen(0, "127.0.0.1")
        return int(next(iter(self._server._sockets.values())).getsockname()[1])

    def _proxy(self, tls: ssl.SSLContext) -> None:
        """Lead who asks for Google's site here, and nobody anywhere else."""
        while True:
            try:
                client, _ = self._site.accept()
            except OSError:
                return
            with suppress(OSError):
                head = client.recv(4096)
                if head.startswith(tuple(f"CONNECT {site}:443 ".encode() for site in SITES)):
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    inside = tls.wrap_socket(client, server_side=True)
                    here = socket.create_connection(("127.0.0.1", self.port))
                    threading.Thread(target=join, args=(inside, here), daemon=True).start()
                    continue
                client.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            client.close()


class _Account(tornado.web.RequestHandler):
    """What the account has, and asks for."""

    def initialize(self, google: Google) -> None:
        self.google = google

    def get(self, what: str) -> None:
        google = self.google
        google.asked.append(what)
        if not google.logged_in:
            self.set_status(401)
        elif what == "assignments":
            self.write({"assignments": [google.facts(session) for session in google.sessions.values()]})
        elif what == "ccu-info":
            count = len(google.sessions)
            self.write({"currentBalance": 98.5, "consumptionRateHourly": 1.76 * count, "assignmentsCount": count})
        elif what == "assign":
            nbh, variant = self.get_argument("nbh"), self.get_argument("variant", "DEFAULT")
            self.write({"acc": "NONE", "nbh": nbh, "token": "xsrf", "variant": variant})
        else:
            self.write({"token": "xsrf"})

    def post(self, what: str) -> None:
        google = self.google
        google.asked.append(f"POST {what}")
        if what.startswith("unassign/"):
            google.end(google.sessions[what.partition("/")[2]])
            return
        accelerator = self.get_argument("accelerator", "NONE")
        if accelerator not in ENTITLED:
            self.set_status(400)
        elif len(google.sessions) == MOST:
            self.set_status(412)
        else:
            google.made += 1
            session = Session(f"gpu-{google.made}", accelerator)
            google.sessions[session.endpoint] = session
            self.write(google.facts(session))


class _Login(tornado.web.RequestHandler):
    """Where a login is renewed that is not taken any more."""

    def post(self) -> None:
        self.set_status(400)
        self.write({"error": "invalid_grant", "error_description": "Token has been expired or revoked."})


class _Kernels(tornado.web.RequestHandler):
    """A session's kernel: there is one, and it is made when it is asked for."""

    def initialize(self, google: Google) -> None:
        self.google = google

    def get(self, kernel: str = "") -> None:
        self._tell()

    def post(self) -> None:
        self.set_status(201)
        self._tell()

    def delete(self, kernel: str) -> None:
        self.set_status(204)

    def _tell(self) -> None:
        session = self.google.known(self.request.headers["X-Colab-Runtime-Proxy-Token"])
        if session is None:
            self.set_status(401)
            return
        now = datetime.now(UTC).isoformat()
        facts = {"id": session.endpoint, "name": "python3", "execution_state": "idle", "connections": 1}
        self.write({**facts, "last_activity": now})


class _Channels(tornado.websocket.WebSocketHandler):
    """Jupyter's messages, in its default subprotocol."""

    def initialize(self, google: Google) -> None:
        self.google = google
        self.readers: list[asyncio.Task[None]] = []

    async def open(self, kernel: str) -> None:
        session = self.google.sessions.get(kernel)
        assert session
        self.client = await self.google.client(session)
        for channel in ("shell", "iopub", "stdin", "control"):
            self.readers.append(asyncio.create_task(self._carry(channel)))

    async def on_message(self, message: str | bytes) -> None:
        said = json.loads(message)
        channel = said.pop("channel")
        self.client.session.send(getattr(self.client, f"{channel}_channel").socket, said)

    def on_close(self) -> None:
        for reader in self.readers:
            reader.cancel()
        self.client.stop_channels()

    async def _carry(self, channel: str) -> None:
        take = getattr(self.client, f"get_{channel}_msg")
        while True:
            message = await take()
            message["buffers"] = []
            await self.write_message(json.dumps({**message, "channel": channel}, default=str))


class _Door(tornado.websocket.WebSocketHandler):
    """SSH to a session, in binary frames: for one at a time, whose key comes as a header."""

    def initialize(self, google: Google) -> None:
        self.google = google
        self.session: Session | None = None

    def prepare(self) -> None:
        session = self.google.known(self.get_argument("colab-runtime-proxy-token"))
        key = self.request.headers.get("X-Colab-Ssh-Pubkey", "")
        if session is None:
            raise tornado.web.HTTPError(401)
        if not key.startswith(("ssh-ed25519 ", "ecdsa-sha2-")):
            self.set_status(400)
            self.finish("unsupported key type")
        elif session.at_the_door:
            raise tornado.web.HTTPError(429)
        else:
            session.at_the_door, self.session = self, session
            self.google.door.admit(key)

    async def open(self) -> None:
        self.inside, self.writer = await asyncio.open_connection("127.0.0.1", self.google.door.port)
        self.reader = asyncio.create_task(self._carry())

    async def on_message(self, message: str | bytes) -> None:
        assert isinstance(message, bytes)
        self.writer.write(message)
        await self.writer.drain()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self.session:
            self.session.at_the_door = None

    def on_close(self) -> None:
        if self.session:
            self.session.at_the_door = None
        self.reader.cancel()
        self.writer.close()

    async def _carry(self) -> None:
        while data := await self.inside.read(1 << 16):
            await self.write_message(data, binary=True)
        self.close()
