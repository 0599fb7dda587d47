"""Frames: what is packed is read, and no bytes do worse than being called garbled."""

from __future__ import annotations

import io
import random
import time
import zlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from colab_remote.both.protocol import (
    CHUNK,
    LARGEST,
    Frame,
    Garbled,
    Kind,
    Sender,
    Taken,
    Tally,
    chunked,
    pack,
    pack_json,
    read_frame,
)

REQUESTS = st.integers(0, 2**32 - 1)
JSON = st.dictionaries(st.text(), st.one_of(st.none(), st.booleans(), st.integers(), st.text()))


def frames(data: bytes) -> list[Frame]:
    """All frames in `data`."""
    source = io.BytesIO(data)
    return list(iter(lambda: read_frame(source.read), None))


@given(st.sampled_from(Kind), REQUESTS, st.binary())
def test_a_frame_is_read_as_it_was_packed(kind: Kind, request: int, payload: bytes) -> None:
    assert frames(pack(kind, request, payload)) == [Frame(kind, request, payload)]


def sent(request: int, data: bytes) -> bytes:
    """The frame in which it travels."""
    wire: list[bytes] = []
    Sender(wire.append).data(request, data)
    return b"".join(wire)


@given(REQUESTS, st.one_of(st.binary(), st.binary(max_size=9).map(lambda piece: piece * 5000)))
def test_data_arrives_as_it_was_whether_deflated_or_not(request: int, data: bytes) -> None:
    assert frames(sent(request, data)) == [Frame(Kind.DATA, request, data)]


@pytest.mark.parametrize("size", [0, 1, CHUNK, LARGEST - 1, LARGEST])
def test_the_largest_payload_travels_deflated(size: int) -> None:
    packed = sent(1, bytes(size))
    assert len(packed) <= 10 + size // 100
    assert frames(packed) == [Frame(Kind.DATA, 1, bytes(size))]


@pytest.mark.parametrize(("seconds", "deflates"), [(0, False), (0.2, True)])
def test_deflating_stops_where_the_line_is_faster_than_it(seconds: float, deflates: bool) -> None:
    data = bytes(random.Random(1).choices(b"abcdefghijklmnop", k=CHUNK))
    wire: list[bytes] = []

    def write(frame: bytes) -> None:
        wire.append(frame)
        if len(wire) > 60:
            time.sleep(seconds)

    sender = Sender(write)
    for _ in range(75):
        sender.data(1, data)
    assert len(wire[0]) < 0.7 * CHUNK
    assert (len(wire[-1]) < 0.7 * CHUNK) == deflates
    assert all(frames(frame) == [Frame(Kind.DATA, 1, data)] for frame in wire)


@pytest.mark.parametrize(("seconds", "count", "deflates"), [(0, 10, False), (1.5, 3, True)])
def test_near_it_deflates_only_on_a_line_that_is_clearly_slow(seconds: float, count: int, deflates: bool) -> None:
    data = bytes(random.Random(1).choices(b"abcdefghijklmnop", k=CHUNK))
    wire: list[bytes] = []

    def write(frame: bytes) -> None:
        wire.append(frame)
        time.sleep(seconds)

    sender = Sender(write)
    sender.near = True
    for _ in range(count):
        sender.data(1, data)
    assert len(wire[0]) > CHUNK
    assert (len(wire[-1]) < 0.7 * CHUNK) == deflates


@given(JSON)
def test_an_object_is_read_as_it_was_packed(value: dict[str, object]) -> None:
    (frame,) = frames(pack_json(Kind.CALL, 3, value))
    assert frame.json() == value


@given(st.binary())
def test_arbitrary_bytes_are_frames_or_garbled(data: bytes) -> None:
    _read_all(data)


@given(st.sampled_from([*Kind, Kind.DATA | 0x80, 99]), st.binary())
def test_arbitrary_payloads_are_read_or_garbled(kind: int, payload: bytes) -> None:
    _read_all(len(payload).to_bytes(4, "big") + bytes([kind]) + bytes(4) + payload)


@pytest.mark.parametrize(
    "payload",
    [b"[" * 200_000, b'{"a":' * 200_000, b"[]", b"1", b"\xff", b"", b'{"a":' + b"9" * 9999 + b"}"],
)
def test_a_payload_that_is_no_object_is_garbled(payload: bytes) -> None:
    with pytest.raises(Garbled):
        Frame(Kind.CALL, 1, payload).json()


def test_a_frame_that_claims_too_much_is_garbled_before_it_is_read() -> None:
    header = (LARGEST + 1).to_bytes(4, "big") + bytes([Kind.DATA]) + bytes(4)
    with pytest.raises(Garbled, match="too large"):
        frames(header)


def test_a_small_frame_that_inflates_beyond_bounds_is_garbled() -> None:
    bomb = zlib.compress(bytes(LARGEST + 1))
    with pytest.raises(Garbled, match="too large"):
        frames(len(bomb).to_bytes(4, "big") + bytes([Kind.DATA | 0x80]) + bytes(4) + bomb)


@given(st.binary(min_size=1), st.data())
def test_a_cut_frame_is_garbled_never_shorter_data(payload: bytes, draw: st.DataObject) -> None:
    packed = pack(Kind.DATA, 1, payload)
    with pytest.raises(Garbled):
        frames(packed[: draw.draw(st.integers(1, len(packed) - 1))])


def test_json_too_large_for_a_frame_is_refused_before_it_is_sent() -> None:
    with pytest.raises(Garbled):
        pack_json(Kind.END, 1, {"a": "x" * LARGEST})


@given(st.lists(st.binary(max_size=99)))
def test_chunks_are_the_same_bytes(pieces: list[bytes]) -> None:
    assert b"".join(chunked(pieces)) == b"".join(pieces)


@given(st.lists(st.integers(0, 3 * CHUNK), max_size=3))
def test_no_chunk_is_larger_than_a_frame_should_be(sizes: list[int]) -> None:
    lengths = [len(chunk) for chunk in chunked(map(bytes, sizes))]
    assert sum(lengths) == sum(sizes)
    assert all(0 < length <= CHUNK for length in lengths)
    assert len(lengths) <= sum(sizes) // CHUNK + 1 + sizes.count(CHUNK)


def test_a_part_of_a_large_file_is_not_copied() -> None:
    part = bytes(CHUNK)
    assert [chunk is part for chunk in chunked([b"a", b"b", part, part, b"c"])] == [False, True, True, False]


@given(st.lists(st.binary(min_size=1)), st.lists(st.integers(0, 20)))
def test_exactly_as_many_bytes_are_taken_as_are_asked_for(pieces: list[bytes], counts: list[int]) -> None:
    rest, coming = b"".join(pieces), iter(pieces)
    taken = Taken(lambda missing: next(coming, b""))
    for count in counts:
        assert taken(count) == rest[:count]
        rest = rest[count:]
    assert taken(len(rest) + 1) == rest
    assert not taken


@given(st.binary(), st.binary(min_size=1))
def test_a_tally_notices_what_was_added_or_lost(data: bytes, more: bytes) -> None:
    sent, arrived = Tally(), Tally()
    sent.add(data)
    arrived.add(data)
    arrived.check(sent.facts())
    arrived.add(more)
    with pytest.raises(Garbled):
        arrived.check(sent.facts())


@given(st.binary(), st.binary())
def test_a_tally_notices_pieces_that_change_places(one: bytes, other: bytes) -> None:
    assume(one + other != other + one)
    sent, arrived = Tally(), Tally()
    for piece, swapped in ((one, other), (other, one)):
        sent.add(piece)
        arrived.add(swapped)
    with pytest.raises(Garbled):
        arrived.check(sent.facts())


def _read_all(data: bytes) -> None:
    try:
        for frame in frames(data):
            frame.json()
    except Garbled:
        return
