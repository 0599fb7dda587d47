"""Where a synced path may lie: inside the project, through no link, and in nothing that is ours or git's."""

from __future__ import annotations

import os
import re
import stat
from io import FileIO
from pathlib import Path

from colab_remote.both.ignore import NEVER
from colab_remote.both.whole import TEMPORARY

_LONGEST = 4096  # bytes of a path
_PLAIN = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)  # what most are, which fits everywhere but on Windows
_UNFIT_ON_WINDOWS = re.compile(
    r'[<>:"\\|?*\x00-\x1f]|[. ]\Z|\A(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)', re.IGNORECASE
)


class Unfit(Exception):
    """A path that is not synced; the message says why, after the path's name."""


def unfit(path: str, windows: bool = os.name == "nt") -> str:
    """Why `path` can be no file's of the project, empty where it can. `windows`: on a disk of Windows."""
    if not windows and len(path) < _LONGEST and _PLAIN.fullmatch(path):
        return ""
    parts = path.split("/")
    if not path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        return "is no path inside the project"
    try:
        if len(os.fsencode(path)) > _LONGEST:
            return "is no path inside the project"
    except UnicodeEncodeError:
        return "has a name that no file can have"
    # Windows and macOS take other spellings of a name for the same: their ways to write `.git` are kept out too.
    if any(part.lower().rstrip(". ") in (*NEVER, "git~1") or part.startswith(TEMPORARY) for part in parts):
        return "would lie in a folder that is never synced"
    if windows and any(_UNFIT_ON_WINDOWS.search(part) for part in parts):
        return "has a name that Windows cannot hold"
    return ""


def unfit_target(path: str, target: str) -> str:
    """Why the link `path` may not point to `target`, empty where it may.

    After its leading `..` a target may not go up again: that would leave from where another link leads.
    """
    up = re.match(r"(\.\./|\.\.\Z|\./+|\.\Z)*", target)
    assert up is not None
    climbs = sum(part == ".." for part in up[0].split("/"))
    rest = target[up.end() :]
    absolute = target.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", target)
    if not target or "\0" in target or absolute or ".." in rest.replace("\\", "/").split("/"):
        return "is a link that may lead out of the project"
    return "is a link that leads out of the project" if climbs > path.count("/") else ""


def place_of(root: str, path: str, make: bool = False) -> str:
    """Where `path` lies under `root`; with `make`, the folders that it needs are made. Raises Unfit."""
    reason = unfit(path)
    if reason:
        raise Unfit(reason)
    *folders, name = path.split("/")
    place = root
    for folder in folders:
        place = f"{place}{os.sep}{folder}"
        found = look(place)
        if found is None and make:
            os.mkdir(place)
        elif found is not None and not stat.S_ISDIR(found.st_mode):
            raise Unfit("would lie in something that is no folder there")
    return f"{place}{os.sep}{name}"


def look(place: str) -> os.stat_result | None:
    """What lies at `place` itself, None for nothing."""
    try:
        return os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return None


def open_plain(place: str | Path) -> FileIO:
    """The file at `place`; a link put there since the scan is not followed, nor a FIFO waited for. Raises OSError."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    return open(os.open(place, flags), "rb", buffering=0)
