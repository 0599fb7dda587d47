"""Bytes that went to each host and came from it, by month and tunnel: what a metered tunnel counts."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from colab_remote.both.whole import read_json, write_json
from colab_remote.laptop.hosts import Host, tunnel
from colab_remote.laptop.line.state import ask_line
from colab_remote.laptop.lock import hold
from colab_remote.laptop.places import make_private, records

# Bytes a month that the free plan of each tunnel lets through, about: ngrok's pages in 2026. A project's own `budget`
# is for those who pay, or know better. One account is behind both names, so both count together.
METERED = {"ngrok": 10**9, "ngrok-http": 10**9}
UNMETERED = "`relay`, `cloudflared` and `direct` have no meter"
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9}


class Traffic(NamedTuple):
    """Bytes up to the runtime and down from it."""

    up: int = 0
    down: int = 0

    @property
    def both(self) -> int:
        """Bytes in all: each leaves the tunnel's provider once, towards one end or the other."""
        return self.up + self.down


@dataclass(slots=True)
class Allowance:
    """Bytes that outputs may still take this month, None for any number; what had to wait, by path, with its size."""

    left: int | None = None
    waiting: dict[str, int] = field(default_factory=dict)

    def admits(self, path: str, size: int, together: int) -> bool:
        """Whether `size` bytes of an output may travel, which then count; else it waits.

        `together` are the bytes without which they are of no use.
        """
        if self.left is not None and together > self.left:
            self.waiting[path] = size
            return False
        self.waiting.pop(path, None)
        self.left = None if self.left is None else self.left - size
        return True


def metered(host: str, now: float | None = None) -> Traffic:
    """What this month has had so far, or that of `now`."""
    return _traffic(_kept(_record(host, now)))


def meter(host: str, kind: str, more: Traffic, now: float | None = None) -> None:
    """Add `more` to this month's, and to its part that went through that kind of tunnel. Raises OSError, Refused."""
    path = _record(host, now)
    with hold(make_private(path.parent) / "lock", other="another command that counts its bytes"):
        kept = _kept(path)
        parts = _parts(kept)
        sums = (_sum(_traffic(before), more) for before in (kept, parts.get(kind, {})))
        whole, part = (found._asdict() for found in sums)
        write_json(path, {**kept, **whole, "tunnels": {**parts, kind: part}})


def month_of(kind: str, now: float | None = None) -> Traffic:
    """What went through a tunnel this month, over all hosts; through those of the same account, where it is metered."""
    names = METERED if kind in METERED else (kind,)
    total = Traffic()
    for path in _record("*", now).parent.glob(_record("*", now).name):
        parts = _parts(_kept(path))
        for name in names:
            total = _sum(total, _traffic(parts.get(name, {})))
    return total


def budget_of(budget: str, kind: str) -> int | None:
    """Bytes a month that a project's `budget` (`auto`, or an amount such as `800MB`) allows, None for any number."""
    if budget == "auto":
        return METERED.get(kind)
    amount = re.fullmatch(r"([\d.]+) ?([kMG]B)", budget)
    assert amount is not None  # the settings have been checked
    return int(float(amount[1]) * _UNITS[amount[2]])


def allowance(budget: str, host: Host) -> Allowance:
    """What is left of this month's budget for the host's tunnel."""
    kind = tunnel(host.ticket)
    total = budget_of(budget, kind)
    return Allowance(None if total is None else max(0, total - month_until_now(host).both))


def month_until_now(host: Host) -> Traffic:
    """What went through the host's tunnel this month, its line's latest bytes among it."""
    ask_line(host.name)  # who is asked writes down what has passed
    return month_of(tunnel(host.ticket))


def _sum(one: Traffic, other: Traffic) -> Traffic:
    return Traffic(one.up + other.up, one.down + other.down)


def _kept(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def _parts(kept: dict[str, Any]) -> dict[str, Any]:
    parts = kept.get("tunnels")
    return parts if isinstance(parts, dict) else {}


def _traffic(kept: Any) -> Traffic:
    try:
        return Traffic(int(kept.get("up", 0)), int(kept.get("down", 0)))
    except (AttributeError, TypeError, ValueError):
        return Traffic()


def _record(host: str, now: float | None) -> Path:
    month = time.strftime("%Y%m", time.localtime(now))
    return records() / "meter" / f"{host}-{month}.json"
