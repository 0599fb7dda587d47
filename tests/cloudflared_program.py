"""A stand-in for `cloudflared`: its command line, its metrics address, and an HTTPS address that really forwards.

It is copied into a folder as `cloudflared`. Next to it lie `server.pem`, the key and certificate of its public name,
and `mood.json`, which says how it behaves and is looked at again while it runs: {"start": "refused"} ends it as a
refusal of a quick tunnel does; {"ready": false} is a tunnel that has lost its connections. The "world" is this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(sys.argv[0]).parent
PUBLIC = socket.create_server(("127.0.0.1", 0))


def mood(name: str, otherwise: Any) -> Any:
    """What the test wants of it now."""
    try:
        return json.loads((HERE / "mood.json").read_text()).get(name, otherwise)
    except (FileNotFoundError, ValueError):
        return otherwise


class Metrics(BaseHTTPRequestHandler):
    """What it says of itself."""

    def do_GET(self) -> None:
        ready = mood("ready", True)
        said: dict[str, Any] = {"status": 200 if ready else 503, "readyConnections": 4 if ready else 0}
        if self.path == "/quicktunnel":
            said = {"hostname": f"localhost:{PUBLIC.getsockname()[1]}"}
        self.send_response(said.get("status", 200))
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def carry(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the end."""
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def forward(upstream: tuple[str, int]) -> None:
    """Lead whoever comes to the public address to the upstream, without TLS from here on."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(HERE / "server.pem")
    while True:
        client, _ = PUBLIC.accept()
        try:
            outside, inside = tls.wrap_socket(client, server_side=True), socket.create_connection(upstream)
        except OSError:
            continue
        threading.Thread(target=carry, args=(outside, inside), daemon=True).start()
        threading.Thread(target=carry, args=(inside, outside), daemon=True).start()


def main() -> None:
    """Serve as told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["tunnel"])
    parser.add_argument("--no-autoupdate", action="store_true", required=True)
    for name in ("--config", "--metrics", "--url"):
        parser.add_argument(name, required=True)
    told = parser.parse_args()
    if Path(told.config).read_bytes():
        sys.exit("a quick tunnel wants no configuration")
    if mood("start", "") == "refused":
        sys.exit('failed to request quick Tunnel: 429 Too Many Requests: "error code: 1015"')
    host, _, port = told.metrics.rpartition(":")
    threading.Thread(target=ThreadingHTTPServer((host, int(port)), Metrics).serve_forever, daemon=True).start()
    (HERE / "pid").write_text(str(os.getpid()))
    upstream, _, port = told.url.removeprefix("http://").rpartition(":")
    forward((upstream, int(port)))


if __name__ == "__main__":
    main()
