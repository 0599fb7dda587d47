"""Credit steered by delay, on a simulated line: quick beside bulk, and fast all the same."""

from __future__ import annotations

import pytest

from colab_remote.laptop.connection import CAP, FASTEST
from colab_remote.laptop.line.flow import DOWN, FLOOR, HELD, START, UP, Flow, granted, window


def transfer(flow: Flow, round_trip: float, speed: float, probes: int = 200) -> list[float]:
    """Round trips during a bulk transfer over a line of `speed` bytes a second whose sender fills the credit."""
    found = []
    if not flow.base:
        flow.idle(round_trip)
    flow.begin(down=False)
    for _ in range(probes):
        taken = max(round_trip, flow.credit / speed)
        flow.busy(taken, min(flow.credit, int(speed * taken)), 0)
        found.append(taken)
    flow.end()
    return found


def reached(flow: Flow, down: bool = False) -> int:
    """The credit with which the next transfer would begin."""
    flow.begin(down)
    return flow.credit


@pytest.mark.parametrize("megabits", [20, 100, 1000])
@pytest.mark.parametrize("round_trip", [0.001, 0.05, 0.1, 0.3])
def test_bulk_adds_little_delay_and_uses_the_line(round_trip: float, megabits: int) -> None:
    flow, speed = Flow(), megabits * 125_000
    delays = sorted(taken - round_trip for taken in transfer(flow, round_trip, speed))
    assert delays[int(len(delays) * 0.95)] < 0.05
    full, credit = min(speed, CAP / round_trip), reached(flow)
    assert credit / max(round_trip, credit / speed) > 0.9 * full


@pytest.mark.parametrize("megabits", [100, 1000])
@pytest.mark.parametrize("round_trip", [0.02, 0.05, 0.1])
def test_a_free_line_is_used_within_a_few_round_trips(round_trip: float, megabits: int) -> None:
    flow, speed = Flow(), megabits * 125_000
    transfer(flow, round_trip, speed, probes=7)
    credit = reached(flow)
    assert credit / max(round_trip, credit / speed) > 0.8 * min(speed, CAP / round_trip)


def test_credit_stays_between_its_bounds() -> None:
    flow = Flow()
    transfer(flow, 0.05, 1000)
    assert reached(flow) == FLOOR
    flow = Flow()
    transfer(flow, 0.3, 1e12)
    assert reached(flow) == CAP


def test_a_short_line_is_lent_no_more_than_it_can_hold() -> None:
    """sshd would hold the rest, and copy all of it for each packet."""
    flow = Flow()
    transfer(flow, 0.0003, 1e12)
    assert START < reached(flow) <= (0.0003 + UP) * FASTEST


def test_credit_that_nobody_uses_does_not_grow() -> None:
    flow = Flow()
    flow.idle(0.05)
    for _ in range(100):
        assert not flow.busy(0.05, 1000, 0)
        assert not flow.grows
    assert flow.credit == START


def test_a_transfer_begins_with_what_the_last_one_that_way_had() -> None:
    flow = Flow()
    transfer(flow, 0.1, 12_500_000)
    assert flow.credit == START
    assert reached(flow, down=True) == START
    assert 1_250_000 < reached(flow) < 2_000_000
    assert max(transfer(flow, 0.1, 12_500_000)) < 0.13


def test_what_was_learnt_is_forgotten_with_time() -> None:
    flow = Flow()
    transfer(flow, 0.1, 1e9)
    for _ in range(10):
        flow.idle(0.1)
    assert reached(flow) == START


def test_it_grows_until_something_waits() -> None:
    flow = Flow()
    flow.idle(0.1)
    flow.begin(down=False)
    flow.busy(0.1, START, 0)
    flow.busy(0.1, START, 0)
    assert flow.grows
    assert flow.credit == 2 * START
    flow.busy(0.2, 2 * START, 0)
    assert not flow.grows


def test_what_was_granted_before_is_not_held_against_the_line() -> None:
    flow = Flow()
    flow.idle(0.1)
    flow.busy(0.23, 2_800_000, came=2_800_000)
    assert flow.credit >= START


def test_a_route_that_has_become_longer_is_learnt() -> None:
    flow = Flow()
    flow.idle(0.01)
    for _ in range(60):
        flow.idle(0.2)
    assert flow.base == pytest.approx(0.2)


def test_readers_share_and_those_who_do_not_read_take_no_more_than_there_is() -> None:
    assert window(CAP, 1, 0) == CAP
    assert window(CAP, 4, 0) == CAP // 4
    held = 0
    for _ in range(10):
        held += window(CAP, 1, held)
    assert held <= HELD + 10 * FLOOR
    assert window(CAP, 1, HELD) == FLOOR
    assert max(UP, DOWN) < 0.05


@pytest.mark.parametrize(
    ("ahead", "base", "more"),
    [
        (310_000, 0.05, 10_000),
        (310_001, 0.05, 0),
        (330_000, 0.05, 0),
        (240_000, 0.0003, 80_000),
        (240_001, 0.0003, 0),
    ],
)
def test_a_window_is_given_in_small_steps_where_the_line_is_long(ahead: int, base: float, more: int) -> None:
    assert granted(320_000, ahead, base) == more
