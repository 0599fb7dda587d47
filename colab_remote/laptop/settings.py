"""The user's own `config.toml`."""

from __future__ import annotations

import re
import tomllib

from colab_remote.errors import Refused
from colab_remote.laptop.places import settings_file

IDLE = 600.0  # seconds that a line stays without use, unless `[line] idle` says otherwise
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def line_idle() -> float:
    """Seconds that a line stays without use, 0 for no line at all. Raises Refused for what is no duration."""
    path = settings_file()
    try:
        settings = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return IDLE
    except (OSError, ValueError) as error:
        raise Refused(f"`{path}` cannot be read: {error}") from None
    line = settings.get("line", {})
    said = line.get("idle", IDLE) if isinstance(line, dict) else line
    found = duration(str(said))
    if found is None:
        raise Refused(f"`{path}`: `[line] idle` is a duration, not `{said}`", 'write it as "10m", "90s", "1h" or 0')
    return found


def duration(text: str) -> float | None:
    """The seconds in `90s`, `10m`, `2h`, `1d`, or a number of them; None for what is no duration."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([smhd]?)", text)
    return float(found[1]) * _UNITS[found[2]] if found else None
