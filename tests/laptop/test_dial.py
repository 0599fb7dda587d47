"""The way to a runtime's sshd: each way to fail has its sentence and its time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sides import free_port

from colab_remote.errors import Unreachable
from colab_remote.laptop.dial import dial
from colab_remote.laptop.hosts import Host
from colab_remote.ticket import Ticket

PRINT = "SHA256:" + "A" * 43


def at(address: str, port: int) -> Host:
    return Host("colab", Ticket("ssh", "root", address, port, "/content", PRINT), Path("key"))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket on which nobody accepts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def plain(listener: socket.socket, address: str = "127.0.0.1") -> socket.socket:
    stream = dial(at(address, listener.getsockname()[1]), 5)
    assert isinstance(stream, socket.socket)
    return stream


def test_a_stream_does_not_wait_for_full_packets(listener: socket.socket) -> None:
    with plain(listener) as stream:
        assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_bytes_go_both_ways(listener: socket.socket) -> None:
    def echo() -> None:
        other, _ = listener.accept()
        with other:
            other.sendall(other.recv(99))

    thread = threading.Thread(target=echo)
    thread.start()
    with plain(listener, "localhost") as stream:
        stream.sendall(b"hello")
        assert stream.recv(99) == b"hello"
    thread.join()


def test_nobody_listens() -> None:
    port = free_port()
    with pytest.raises(Unreachable) as failed:
        dial(at("127.0.0.1", port), 5)
    assert failed.value.message == f"nobody listens at `127.0.0.1:{port}`"
    assert "run the cell again" in failed.value.hint


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64 + ".org"])
def test_a_name_without_an_address(host: str) -> None:
    with pytest.raises(Unreachable) as failed:
        dial(at(host, 22), 5)
    assert failed.value.message == f"no address is known for `{host}`"
    assert "network" in failed.value.hint


def test_no_answer_in_time() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]  # fill the queue: the kernel then drops what else knocks
        for other in waiting:
            other.setblocking(False)
            other.connect_ex(address)
        with pytest.raises(Unreachable) as failed:
            dial(at("127.0.0.1", address[1]), 0.3)
        for other in waiting:
            other.close()
    assert "did not answer within 0.3 s" in failed.value.message
