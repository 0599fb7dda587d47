"""Bytes that went to each host and came from it, by month: what a metered tunnel counts."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from colab_remote.both.whole import read_json, write_json
from colab_remote.laptop.places import make_private, records


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes up to the runtime and down from it."""

    up: int = 0
    down: int = 0


def metered(host: str, now: float | None = None) -> Traffic:
    """What this month has had so far, or that of `now`."""
    try:
        kept = read_json(_record(host, now))
        return Traffic(int(kept["up"]), int(kept["down"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Traffic()


def meter(host: str, more: Traffic, now: float | None = None) -> None:
    """Add `more` to this month's."""
    path = _record(host, now)
    make_private(path.parent)
    before = metered(host, now)
    write_json(path, asdict(Traffic(before.up + more.up, before.down + more.down)))


def _record(host: str, now: float | None) -> Path:
    month = time.strftime("%Y%m", time.localtime(now))
    return records() / "meter" / f"{host}-{month}.json"
