"""How much may be under way: credit for bulk, steered by delay, so that a keystroke never waits behind it. Pure."""

from __future__ import annotations

from colab_remote.laptop.connection import CAP, filling
from colab_remote.laptop.conversation import NEAR

START = 256 << 10  # bytes
FLOOR = 32 << 10
UP, DOWN = 0.015, 0.020  # seconds that bulk may add to a round trip: what comes down fills the line less evenly
HELD = 12 << 20  # bytes that readers who do not read may keep in memory, all together
_STEPS, _STEPS_NEAR = 32, 4  # in which a window is given
BULK = 64 << 10  # bytes between two probes that are more than keystrokes and log lines


class Flow:
    """The credit of one connection: bytes that bulk may have under way in each direction, all streams together."""

    def __init__(self) -> None:
        self.credit = START
        self.base = 0.0  # seconds of an idle round trip, 0 before the first
        self.grows = False  # it is still sought how much the line takes
        self._bulk = False  # at the last probe
        self._free = True  # nothing has waited since bulk began: as TCP does, double until something does
        self.down = False  # which way most of the last bulk went
        self._learnt: dict[bool, tuple[int, bool]] = {}  # credit, and whether it was free, of the last bulk each way

    def idle(self, round_trip: float) -> None:
        """Nothing but the probe was under way: take this as the line's own delay, and trust less what was learnt."""
        self.base = min(self.base * 1.1, round_trip) if self.base else round_trip
        self._learnt = {down: (max(START, credit // 2), True) for down, (credit, _) in self._learnt.items()}

    def begin(self, down: bool) -> None:
        """Bulk begins, most of it `down` or up: the two ways of a line may differ."""
        self.credit, self._free = self._learnt.get(down, (START, True))
        self._bulk, self.down = False, down

    def end(self) -> None:
        """Bulk is over: the next one that way begins with what this one had."""
        self._learnt[self.down] = self.credit, self._free
        self.credit = START

    def busy(self, round_trip: float, moved: int, came: int) -> bool:
        """`moved` bytes went while a probe's answer took `round_trip`, of which `came` down; whether that was bulk."""
        self.base = min(self.base or round_trip, round_trip)
        # What comes down does so in bursts: a probe may wait behind one on a line that is half idle.
        target, burst = (DOWN, self.base / 4) if came * 2 > moved else (UP, 0.0)
        self._free &= round_trip <= self.base + burst + target
        # What is under way over its delay is the line's speed; that times the delay we want is the credit. More than
        # the credit comes down where more was granted before: after a cut, and by the transfer before this one.
        wanted = max(self.credit, came) * (self.base + target) / round_trip if round_trip else CAP
        most = filling(self.base + target)
        used = moved * 2 > self.credit  # credit that nobody used says nothing about the line
        self.grows = self._free and used and self.credit < most
        if self._free:
            if self.grows and self._bulk:  # the first probe went before anything could wait
                self.credit = min(most, 2 * self.credit)
        elif wanted < self.credit:
            self.credit = max(FLOOR, int(wanted), self.credit // 2)
        elif used:
            self.credit = min(most, int((self.credit + min(wanted, 2 * self.credit)) / 2))
        self._bulk = moved > BULK
        return self._bulk


def window(credit: int, readers: int, held: int) -> int:
    """Bytes that a stream's far end may send in advance: its share of the credit, less where others do not read.

    `readers` take bulk now; `held` bytes lie with us that nobody has taken.
    """
    return max(FLOOR, min(credit // max(1, readers), HELD - held))


def granted(size: int, ahead: int, base: float) -> int:
    """Bytes more that a far end may send which has `ahead` of a window of `size`, over a line of that round trip.

    In small steps it sends evenly, and fills the line; near by they would cost more than they bring.
    """
    more = size - ahead
    return more if more * (_STEPS_NEAR if base < NEAR else _STEPS) >= size else 0
