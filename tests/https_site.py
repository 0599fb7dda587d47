"""A stand-in for an HTTPS server of the world: a proxy that says it is that server."""

from __future__ import annotations

import io
import socket
import ssl
import tarfile
import threading
from pathlib import Path

from trusted import trusted


class Site:
    """Answers as `host`, the same to everybody; `environment` leads a process here and makes it trust what it finds.

    `asked` are the paths that were asked for.
    """

    def __init__(self, folder: Path, host: str, body: bytes, status: str = "200 OK") -> None:
        self.folder, self.host, self.body, self.status = folder, host, body, status
        self.asked: list[str] = []
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(trusted(folder, host))
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        proxy = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        return {"https_proxy": proxy, "no_proxy": "127.0.0.1", "SSL_CERT_FILE": str(self.folder / "server.pem")}

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            plain.settimeout(20)
            with plain:
                assert _head(plain).startswith(f"CONNECT {self.host}:443 ".encode())
                plain.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                with self.tls.wrap_socket(plain, server_side=True) as secret:
                    self.asked.append(_head(secret).decode().split()[1])
                    head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
                    secret.sendall(head.encode() + self.body)


def _head(stream: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        got += stream.recv(4096)
    return got


def ngrok_archive(program: bytes) -> bytes:
    """What is downloaded for ngrok's agent."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("ngrok")
        entry.size, entry.mode = len(program), 0o755
        archive.addfile(entry, io.BytesIO(program))
    return packed.getvalue()
