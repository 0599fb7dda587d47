"""Lanes: much goes up over several streams, in order and whole, to nobody else; without them it goes all the same."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from bad_network import BadNetwork
from pair import Counted
from sides import Host as Sides
from sides import Laptop, started_sshd

from colab_remote.errors import Refused, Unreachable
from colab_remote.laptop.connection import Connection
from colab_remote.laptop.conversation import Conversation, Stream
from colab_remote.laptop.hosts import Host
from colab_remote.laptop.login import open_connection
from colab_remote.ticket import parse_ticket

MUCH = random.Random(1).randbytes(17 << 20)


def put(conversation: Conversation, folder: Path, data: bytes, path: str = "checkpoint") -> None:
    """Send a file to the runtime."""
    pieces = (data[start : start + (1 << 18)] for start in range(0, len(data), 1 << 18))
    conversation.prepare_for(len(data))
    conversation.ask("output_put", pieces, folder=str(folder), path=path, mtime_ns=10**18)


class Counting:
    """A connection's way, on which `opened` streams to ports are counted, after `before` each."""

    def __init__(self, connection: Connection, before: Callable[[int], object]) -> None:
        self.host, self.quickest = connection.host, connection.quickest
        self._connection, self._before = connection, before
        self.opened: list[Counted] = []

    def open_port(self, port: int) -> Stream:
        self._before(port)
        self.opened.append(Counted(self._connection.open_port(port)))
        return self.opened[-1]


@contextmanager
def talking(
    host: Host, before: Callable[[int], object] = lambda port: None
) -> Iterator[tuple[Conversation, list[Counted]]]:
    """A conversation over a connection of its own, and the streams to ports that it opens, after `before` each."""
    with closing(open_connection(host)) as connection:
        way = Counting(connection, before)
        yield Conversation(connection.open_session(), way), way.opened


def of(host: Sides, port: int | None = None) -> Host:
    """The host for our functions, at another port of this machine where one is named."""
    ticket = host.runtime.ticket.replace(f":{host.runtime.port}/", f":{port or host.runtime.port}/")
    return Host("colab", parse_ticket(ticket), host.laptop.ours / "id_ed25519")


def test_much_goes_over_all_of_them_and_little_over_none(host: Sides, tmp_path: Path) -> None:
    with talking(of(host)) as (conversation, lanes):
        put(conversation, tmp_path, b"little")
        assert not lanes
        for data in (MUCH, MUCH[::-1], b"little again"):
            put(conversation, tmp_path, data)
            assert (tmp_path / "checkpoint").read_bytes() == data
    assert [round(lane.bytes / len(MUCH), 1) for lane in lanes] == [0.5] * 4


def test_who_does_not_know_the_secret_is_turned_away(host: Sides, tmp_path: Path) -> None:
    strangers = []

    def intrude(port: int) -> None:
        strangers.append(socket.create_connection(("127.0.0.1", port)))
        strangers[-1].sendall(bytes(17))

    with talking(of(host), intrude) as (conversation, _):
        put(conversation, tmp_path, MUCH)
    assert (tmp_path / "checkpoint").read_bytes() == MUCH
    for stranger in strangers:
        with stranger:
            assert stranger.recv(1) == b""


def test_what_is_refused_is_passed_over(host: Sides, tmp_path: Path) -> None:
    with talking(of(host)) as (conversation, _):
        put(conversation, tmp_path, MUCH)
        with pytest.raises(Refused, match="outside"):
            put(conversation, tmp_path, MUCH, path="../outside")
        put(conversation, tmp_path, MUCH[1:])
    assert (tmp_path / "checkpoint").read_bytes() == MUCH[1:]


def test_where_sshd_leads_to_no_port_it_goes_as_before(laptop: Laptop, tmp_path: Path) -> None:
    with started_sshd(tmp_path / "strict", "AllowTcpForwarding no") as runtime:
        runtime.admit(laptop.public_line())
        with talking(of(Sides(laptop, runtime))) as (conversation, lanes):
            put(conversation, tmp_path, MUCH)
            put(conversation, tmp_path, MUCH[1:])
    assert not lanes
    assert (tmp_path / "checkpoint").read_bytes() == MUCH[1:]


def test_a_cut_under_way_is_lost_contact_and_leaves_nothing(host: Sides, tmp_path: Path) -> None:
    with (
        BadNetwork(("127.0.0.1", host.runtime.port), rate=20_000_000) as network,
        talking(of(host, network.port)) as (conversation, _),
    ):

        def cut_half_way() -> Iterable[bytes]:
            for count in range(64):
                if count == 40:
                    threading.Timer(0.05, network.cut).start()
                yield MUCH[: 1 << 18]

        conversation.prepare_for(len(MUCH))
        with pytest.raises(Unreachable, match="contact with `colab` was lost"):
            conversation.ask("output_put", cut_half_way(), folder=str(tmp_path), path="checkpoint", mtime_ns=0)
    assert not (tmp_path / "checkpoint").exists()
