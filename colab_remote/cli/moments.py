"""Moments as people write and read them."""

from __future__ import annotations

import re
import time
from datetime import datetime
from datetime import time as clock

import click


def precisely(seconds: float | None) -> str:
    """A moment to the millisecond, with this laptop's offset: what --timestamps shows; `-` where it is not known."""
    return "-" if seconds is None else datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")


def moment(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """The moment that an option's value means: so long ago, a time of the last 24 hours, or a date and time."""
    if text is None:
        return None
    from colab_remote.laptop.settings import duration

    ago = duration(text)
    if ago is not None:
        return time.time() - ago
    try:
        if re.match(r"\d{1,2}:\d\d", text):
            today = datetime.combine(datetime.now(), clock.fromisoformat(text.zfill(5)))
            return today.timestamp() - (86400 if today > datetime.now() else 0)
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise click.BadParameter("write it as `90s`, `10m`, `2h`, `12:41` or `2026-11-25T12:41`") from None
