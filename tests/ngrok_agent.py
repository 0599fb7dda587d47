"""A stand-in for ngrok's agent, version 3: its command line, log lines, web API, and a port that really forwards.

It is copied into a folder as `ngrok`. Next to it lie `mood.json`, which says how it behaves and is looked at
again while it runs, and `agents.jsonl`, a line for each start. The "world" is 127.0.0.1.

    {"start": 105}                    the session is refused with that code, and the agent ends
    {"start": "silent" | "deaf" | "odd"}   no line ever; a web API that never answers; bytes that are no text
    {"endpoint": 8013}                the session is fine, every endpoint refused with that code
    {"tcp": 8013} | {"https": 334}    endpoints of that kind are
    {"public": "https://x.ngrok-free.app"}   what endpoints say their address is, for a picture
    {"later": "moved"}                the session is lost and comes back with another public address
    {"later": "lost" | "refused"}     it is lost and does not come back; the reason is a code
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import yaml

HERE = Path(sys.argv[0]).parent
PLAIN = set("-._/:,=@+[]")  # what a value may hold beside letters and digits, and stay without quotes


def mood(name: str) -> Any:
    """What the test wants of it now."""
    try:
        return json.loads((HERE / "mood.json").read_text()).get(name)
    except (FileNotFoundError, ValueError):
        return None


def say(level: str, message: str, **more: str) -> None:
    """A line of its log."""
    words = {"t": time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime()), "lvl": level, "msg": message, **more}
    quoted = (
        f"{name}={value if all(c.isalnum() or c in PLAIN for c in value) else json.dumps(value)}"
        for name, value in words.items()
    )
    sys.stdout.write(" ".join(quoted) + "\n")
    sys.stdout.flush()


def fail(text: str) -> None:
    """End as the agent does: twice on stdout, once more on stderr."""
    say("eror", "terminating with error", obj="app", err=text)
    say("crit", "command failed", err=text)
    sys.exit(f"ERROR:  {text}")


class Endpoint:
    """A public port that leads to `upstream`; one for `https` is without its TLS."""

    def __init__(self, name: str, upstream: str, kind: str) -> None:
        self.name, self.upstream, self.scheme = name, upstream, "tcp" if kind == "tcp" else "http"
        host, _, port = upstream.removeprefix("http://").rpartition(":")
        self.to = host.strip("[]"), int(port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    @property
    def described(self) -> dict[str, Any]:
        url = mood("public") or "{}://{}:{}".format(self.scheme, *self.listener.getsockname())
        return {"name": self.name, "url": url, "upstream": {"url": self.upstream}, "bindings": ["public"]}

    def move(self) -> None:
        """Come back somewhere else."""
        old, self.listener = self.listener, socket.create_server(("127.0.0.1", 0))
        old.shutdown(socket.SHUT_RDWR)
        old.close()
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                outside, peer = listener.accept()
            except OSError:
                return
            say("info", "join connections", obj="join", l=self.upstream, r="{}:{}".format(*peer))
            try:
                inside = socket.create_connection(self.to)
            except OSError as error:
                say("warn", "failed to open private leg", err=f"{error} ERR_NGROK_8012")
                outside.close()
                continue
            for pair in ((outside, inside), (inside, outside)):
                threading.Thread(target=copy, args=pair, daemon=True).start()


def copy(source: socket.socket, sink: socket.socket) -> None:
    """All bytes, then the end."""
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            end.close()


class Web(BaseHTTPRequestHandler):
    """The local web API."""

    endpoints: ClassVar[dict[str, Endpoint]] = {}

    def do_GET(self) -> None:
        while mood("start") == "deaf":
            time.sleep(0.1)
        self._answer(200, {"endpoints": [endpoint.described for endpoint in self.endpoints.values()], "uri": self.path})

    def do_POST(self) -> None:
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind = wanted["url"].removesuffix("://")
        if code := mood("endpoint") or mood(kind):
            reason = f"failed to start endpoint: a sentence of ngrok's.\r\n\r\nERR_NGROK_{code}\r\n"
            say("eror", "failed to start endpoint", pg="/api/endpoints", err=reason)
            self._answer(502, {"error_code": 103, "msg": "failed to start endpoint", "details": {"err": reason}})
            return
        assert kind in ("tcp", "https"), wanted
        self.endpoints[wanted["name"]] = made = Endpoint(wanted["name"], wanted["upstream"]["url"], kind)
        say("info", "started tunnel", obj="tunnels", name=made.name, addr=made.upstream, url=made.described["url"])
        self._answer(201, made.described)

    def do_DELETE(self) -> None:
        gone = self.endpoints.pop(self.path.rpartition("/")[2], None)
        if gone:
            gone.listener.close()
        self._answer(204 if gone else 404, None)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, code: int, document: object) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def established() -> None:
    say("info", "client session established", obj="tunnels.session")
    say("info", "tunnel session started", obj="tunnels.session")


def change() -> None:
    """Do what comes later, once a mood asks for it."""
    seen = mood("later")
    while True:
        time.sleep(0.05)
        if (later := mood("later")) == seen:
            continue
        seen = later
        if not later:
            continue
        say("eror", "session closed, starting reconnect loop", obj="tunnels.session", err="session closed")
        if later == "moved":
            for endpoint in Web.endpoints.values():
                endpoint.move()
            established()
            continue
        while Web.endpoints:
            Web.endpoints.popitem()[1].listener.close()
        if later == "refused":
            reason = "authentication failed: limited to 3 agent sessions.\r\n\r\nERR_NGROK_108\r\n"
            say("eror", "failed to reconnect session", obj="tunnels.session", err=reason)


def start(config: Path) -> None:
    """`ngrok start --none --log stdout --config P`."""
    text = yaml.safe_load(config.read_text())
    agent = text["agent"]
    if text["version"] not in (3, "3") or set(agent) - {"authtoken", "web_addr", "update_check"}:
        fail("Error reading configuration file: a field that is none")
    if config.stat().st_mode & 0o077:
        fail("the stand-in found a configuration that others can read")
    say("info", "open config file", path=str(config), err="nil")
    if mood("start") == "silent":
        threading.Event().wait()
    if mood("start") == "odd":
        sys.stdout.buffer.write(b"t='\xff\xfe lvl=HANDLERS err=\x00\n")
        sys.stdout.flush()
    host, _, port = agent["web_addr"].rpartition(":")
    web = ThreadingHTTPServer((host, int(port)), Web)
    say("info", "starting web service", obj="web", addr=agent["web_addr"], allow_hosts="[]")
    threading.Thread(target=web.serve_forever, daemon=True).start()
    code = mood("start") if isinstance(mood("start"), int) else None if agent.get("authtoken") else 4018
    if code:
        # The real one repeats the token.
        fail(f"authentication failed: no.\nYour authtoken: {agent.get('authtoken')}\r\n\r\nERR_NGROK_{code}\r\n")
    established()
    change()


def main() -> None:
    with (HERE / "agents.jsonl").open("a") as file:
        file.write(json.dumps({"pid": os.getpid(), "argv": sys.argv[1:]}) + "\n")
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    parser = argparse.ArgumentParser("ngrok", allow_abbrev=False)
    parser.add_argument("command", choices=("start", "version"))
    parser.add_argument("--none", action="store_true")
    parser.add_argument("--log", choices=("stdout",))
    parser.add_argument("--config", type=Path)
    parser.add_argument("--region")
    parser.add_argument("--authtoken")
    words = parser.parse_args()
    if words.command == "version":
        sys.stdout.write("ngrok version 3.30.0\n")
        return
    if words.authtoken:
        fail("the stand-in found a token in its command line")
    start(words.config)


if __name__ == "__main__":
    main()
