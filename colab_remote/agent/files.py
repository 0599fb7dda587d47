"""A project's folder on the runtime: what is in it, and changes to it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colab_remote.agent.serve import Call, Method
from colab_remote.both.arrive import FULL, apply
from colab_remote.both.ignore import Ignore
from colab_remote.both.processes import runs_from
from colab_remote.both.protocol import Refusal
from colab_remote.both.records import Step, pack_requests, pack_steps, unpack_requests
from colab_remote.both.scan import CACHE, Known, Listing, known_of, pack_listing, scan
from colab_remote.both.whole import read_json, write_json, write_whole

_OURS = ".colab-remote"
_POLL = 0.03  # seconds between two looks of a watch at the least,
_LEISURE = 20  # times what a look takes, so that watching takes 5 % of a core at most,
_SLOWEST = 5.0  # and seconds at the most


def look(call: Call) -> dict[str, Any]:
    """What `folder` holds, as a listing in DATA; its mark, whether anything is in it, and the disk's free bytes."""
    folder = Path(call.arguments["folder"])
    if not folder.exists() and not folder.is_symlink():
        _watched.pop(str(folder), None)
        call.send(pack_listing(Listing()))
        return _facts(folder)
    if folder.is_symlink() or not folder.is_dir():
        raise Refusal("refused", f"`{folder}` on the runtime is no folder", "move it away, or rename the project")
    mark = _mark(folder)
    known = _known(folder) if mark else {}
    before = dict(known)
    told = _scan(call, known, sweep=True)
    call.send(pack_listing(told))
    _watched[str(folder)] = _Watched(told, known)
    if mark and known != before:
        # It only saves time: a disk that is full must not end the sync that may free it.
        with contextlib.suppress(OSError):
            write_whole(folder / _OURS / CACHE, json.dumps(known).encode("ascii"))
    return _facts(folder)


@dataclass
class _Watched:
    """What this conversation was told last about a folder, and what its scans learned."""

    told: Listing = field(default_factory=Listing)
    known: dict[str, Known] = field(default_factory=dict)


_watched: dict[str, _Watched] = {}


def watch(call: Call) -> dict[str, Any]:
    """Wait until `folder` is not as it was last told, or the call is cancelled: as `look`, but only what changed.

    Also whether something runs there from a folder called as one of `editors`.
    """
    folder = Path(call.arguments["folder"])
    watched = _watched.setdefault(str(folder), _Watched())
    pause = 0.0
    while True:
        ended = call.cancelled(pause)
        started = time.monotonic()
        # Another conversation may be bringing files at this moment: its temporary ones are not left behind.
        found = _scan(call, watched.known, sweep=False)
        if ended or found != watched.told:
            break
        pause = min(max(_POLL, (time.monotonic() - started) * _LEISURE), _SLOWEST)
    before, watched.told = watched.told, found
    call.send(pack_listing(found, before))
    return {**_facts(folder), "edited": runs_from(call.arguments["editors"])}


def _scan(call: Call, known: dict[str, Known], sweep: bool) -> Listing:
    ignore = Ignore(call.arguments["exclude"], call.arguments["outputs"])
    return scan(str(call.arguments["folder"]), ignore, known, sweep)


def _facts(folder: Path) -> dict[str, Any]:
    occupied = folder.is_dir() and any(name != _OURS for name in os.listdir(folder))
    return {"mark": _mark(folder), "occupied": occupied, "free": _free(folder)}


def take(call: Call) -> dict[str, Any]:
    """Make the changes that follow in `folder`, then mark it with `mark`; the problems by path in DATA.

    Until the first push is whole the mark's `disk` is only `begun`, and one that was cut off is gone on with.
    """
    folder, mark = Path(call.arguments["folder"]), call.arguments["mark"]
    ours = folder / _OURS
    body = call.body()
    ours.mkdir(mode=0o700, parents=True, exist_ok=True)
    begun = {**mark, "disk": None, "begun": mark["disk"]}
    if _mark(folder) not in (mark, begun):
        write_json(ours / "disk.json", begun)
    try:
        outcome = apply(str(folder), body, lambda step: True)
    except ValueError as error:
        raise Refusal("failed", f"what arrived cannot be understood: {error}") from None
    if _mark(folder) != mark and FULL not in outcome.problems.values():
        write_json(ours / "disk.json", mark)
    call.send([json.dumps(outcome.problems).encode("ascii")])
    return {}


def give(call: Call) -> dict[str, Any]:
    """The steps asked for in the body, with their content, in DATA."""
    steps = _asked(call)
    digests = {step.path: found for step, found in steps if found}
    call.send(pack_steps(call.arguments["folder"], [step for step, _ in steps], digests))
    return {}


def blocks(call: Call) -> dict[str, Any]:
    """The steps in the body in DATA, with the digests of what `folder` has for them now."""
    steps = [step for step, _ in _asked(call)]
    call.send(pack_requests(steps, call.arguments["folder"]))
    return {}


def _asked(call: Call) -> list[tuple[Step, bytes]]:
    try:
        return list(unpack_requests(call.body()))
    except ValueError as error:
        raise Refusal("failed", f"what was asked for cannot be understood: {error}") from None


def _mark(folder: Path) -> dict[str, Any]:
    try:
        return {key: value for key, value in read_json(folder / _OURS / "disk.json").items() if key != "format"}
    except (OSError, ValueError):
        return {}


def _known(folder: Path) -> dict[str, Known]:
    """What earlier scans learned; it only saves time, so one that cannot be read is none."""
    try:
        return known_of(json.loads((folder / _OURS / CACHE).read_bytes()))
    except (OSError, ValueError):
        return {}


def _free(folder: Path) -> int:
    """Bytes that fit on the disk of `folder`, or of the nearest folder above that is there."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


METHODS: dict[str, Method] = {
    "files_look": look,
    "files_watch": watch,
    "files_blocks": blocks,
    "files_take": take,
    "files_give": give,
}
