"""The bad network is bad in the ways it says, and otherwise carries every byte."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from bad_network import BadNetwork


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(end: socket.socket) -> None:
            with end:
                while data := end.recv(1 << 16):
                    end.sendall(data)

        def serve() -> None:
            while True:
                try:
                    end, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(end,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()


def send_all(end: socket.socket, data: bytes) -> None:
    end.sendall(data)
    end.shutdown(socket.SHUT_WR)


def there_and_back(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as end:
        threading.Thread(target=send_all, args=(end, data), daemon=True).start()
        back = b""
        while piece := end.recv(1 << 16):
            back += piece
    return back


def test_every_byte_arrives_in_order(echo: tuple[str, int]) -> None:
    data = bytes(range(256)) * 8192
    with BadNetwork(echo) as network:
        assert there_and_back(network.port, data) == data
        assert network.passed == 2 * len(data)


def test_a_round_trip_takes_at_least_twice_the_delay(echo: tuple[str, int]) -> None:
    with BadNetwork(echo, delay=0.05) as network:
        started = time.monotonic()
        assert there_and_back(network.port, b"x") == b"x"
        assert time.monotonic() - started >= 0.1


def test_a_rate_is_not_exceeded(echo: tuple[str, int]) -> None:
    with BadNetwork(echo, rate=1e6) as network:
        started = time.monotonic()
        there_and_back(network.port, bytes(300_000))
        assert time.monotonic() - started >= 0.3


def is_broken(end: socket.socket) -> bool:
    try:
        return end.recv(1) == b""
    except ConnectionError:
        return True


def test_a_cut_breaks_what_is_open_and_down_refuses_what_comes(echo: tuple[str, int]) -> None:
    with BadNetwork(echo) as network:
        with socket.create_connection(("127.0.0.1", network.port), timeout=10) as end:
            end.sendall(b"x")
            assert end.recv(1) == b"x"
            network.down()
            assert is_broken(end)
        with socket.create_connection(("127.0.0.1", network.port), timeout=10) as end:
            assert is_broken(end)
        network.up()
        assert there_and_back(network.port, b"again") == b"again"


def test_frozen_it_holds_and_thawed_it_delivers(echo: tuple[str, int]) -> None:
    with BadNetwork(echo) as network, socket.create_connection(("127.0.0.1", network.port), timeout=0.2) as end:
        network.freeze()
        end.sendall(b"x")
        with pytest.raises(TimeoutError):
            end.recv(1)
        network.thaw()
        end.settimeout(10)
        assert end.recv(1) == b"x"
