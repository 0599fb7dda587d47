"""The user's own `config.toml`, and how a file of settings is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from colab_remote.errors import Refused
from colab_remote.laptop.places import settings_file

IDLE = 600.0  # seconds that a line stays without use, unless `[line] idle` says otherwise
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def line_idle() -> float:
    """Seconds that a line stays without use, 0 for no line at all. Raises Refused for what is no duration."""
    path = settings_file()
    line = read_toml(path).get("line", {})
    said = line.get("idle", IDLE) if isinstance(line, dict) else line
    found = duration(str(said))
    if found is None:
        raise Refused(f"`{path}`: `[line] idle` is a duration, not `{said}`", 'write it as "10m", "90s", "1h" or 0')
    return found


def read_toml(path: Path) -> dict[str, Any]:
    """What the file says, nothing where there is none. Raises Refused."""
    import tomllib  # only here, as what else a command may not need: `run -- true` waits for each import

    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise Refused(f"`{path}` is not written in UTF-8", "save it as UTF-8: editors ask for the encoding") from None
    except ValueError as error:
        raise Refused(f"`{path}` is no TOML: {error}", "correct it there") from None


def duration(text: str) -> float | None:
    """The seconds in `90s`, `10m`, `2h`, `1d`, or a number of them; None for what is no duration."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([smhd]?)", text)
    return float(found[1]) * _UNITS[found[2]] if found else None
