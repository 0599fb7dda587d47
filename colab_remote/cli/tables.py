"""How figures and rows look."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from colab_remote.cli.output import in_one_line

if TYPE_CHECKING:
    from colab_remote.laptop.home import Checkpoint


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines: each column as wide as its widest cell, control characters visible."""
    shown = [[in_one_line(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*shown, strict=True)]
    return ["   ".join(map(_padded, row, widths)).rstrip() for row in shown]


def duration(seconds: float) -> str:
    """Hours and minutes as `2:14`; from two days on `3 days`."""
    minutes = int(seconds // 60)
    return f"{minutes // 60}:{minutes % 60:02}" if minutes < 48 * 60 else f"{minutes // 1440} days"


def amount(count: float) -> str:
    """Bytes in the unit that suits: `210 kB`, `12.6 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 100 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def away(seconds: float) -> str:
    """A round trip: `84 ms away`."""
    return f"{seconds * 1000:.0f} ms away"


def when(moment: float, now: float | None = None) -> str:
    """A moment (seconds since 1970) in local time, and how long ago: `now`, `12:41`, `03:12 (8 h ago)`."""
    now = time.time() if now is None else now
    ago = now - moment
    if ago < 60:
        return "now"
    clock = time.strftime("%H:%M", time.localtime(moment))
    if ago < 3600:
        return f"{clock} ({ago // 60:.0f} min ago)"
    if ago < 86400:
        return f"{clock} ({ago // 3600:.0f} h ago)"
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def checkpoint_line(checkpoint: Checkpoint) -> str:
    """A checkpoint's path, and when it was at home, or written where it did not come from a runtime."""
    clock = time.strftime("%H:%M:%S", time.localtime(checkpoint.arrived or checkpoint.written))
    return f"{checkpoint.path} ({clock})"


def _width(text: str) -> int:
    """Columns on a terminal: Korean letters take two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
