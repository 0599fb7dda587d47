"""A download goes on where it was cut, and what is damaged never gets its name."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from config import Refused
from data.download import Published, download

CONTENT = bytes(range(256)) * 1000
ASKED: list[str | None] = []


class Cuts(BaseHTTPRequestHandler):
    """Gives 100 kB of what is asked for and cuts the connection."""

    def do_GET(self) -> None:
        ASKED.append(self.headers["Range"])
        begin = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.end_headers()
        self.wfile.write(CONTENT[begin : begin + 100_000])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    ASKED.clear()
    with HTTPServer(("127.0.0.1", 0), Cuts) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_it_goes_on_where_it_was_cut(url: str, tmp_path: Path) -> None:
    published = Published(url, {"file": hashlib.md5(CONTENT).hexdigest()})
    download(published, tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert ASKED == [None, "bytes=100000-", "bytes=200000-"]
    download(published, tmp_path)
    assert len(ASKED) == 3


def test_another_file_than_the_published_one_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="another file"):
        download(Published(url, {"file": "0" * 32}), tmp_path)
    assert not (tmp_path / "file").exists()
