"""How much may be under way: credit for bulk, steered by delay, so that a keystroke never waits behind it. Pure."""

from __future__ import annotations

START = 256 << 10  # bytes
FLOOR = 32 << 10
CAP = 4 << 20
TARGET = 0.020  # seconds that bulk may add to a round trip
HELD = 12 << 20  # bytes that readers who do not read may keep in memory, all together
BULK = 64 << 10  # bytes between two probes that are more than keystrokes and log lines


class Flow:
    """The credit of one connection: bytes that bulk may have under way in each direction, all streams together."""

    def __init__(self) -> None:
        self.credit = START
        self.base = 0.0  # seconds of an idle round trip, 0 before the first
        self._free = True  # nothing has waited since bulk began: as TCP does, double until something does

    def idle(self, round_trip: float) -> None:
        """Nothing but the probe was under way: take this as the line's own delay, and begin anew."""
        self.base = min(self.base * 1.1, round_trip) if self.base else round_trip
        self.credit, self._free = START, True

    def busy(self, round_trip: float, moved: int) -> bool:
        """`moved` bytes went since the last probe, whose answer took `round_trip`; whether that was bulk."""
        self.base = min(self.base or round_trip, round_trip)
        # What is under way over its delay is the line's speed; that times the delay we want is the credit.
        wanted = self.credit * (self.base + TARGET) / round_trip if round_trip else CAP
        if wanted < self.credit:
            self.credit, self._free = max(FLOOR, int(wanted), self.credit // 2), False
        elif moved * 2 > self.credit:  # credit that nobody used says nothing about the line
            double = 2 * self.credit
            self.credit = min(CAP, double if self._free else int((self.credit + min(wanted, double)) / 2))
        return moved > BULK


def window(credit: int, readers: int, held: int) -> int:
    """Bytes that a stream's far end may send in advance: its share of the credit, less where others do not read.

    `readers` take bulk now; `held` bytes lie with us that nobody has taken.
    """
    return max(FLOOR, min(credit // max(1, readers), HELD - held))
