"""What a project keeps about its syncs: what both sides agreed on, by disk, and what the last scan learned."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colab_remote.both.scan import CACHE, Known, known_of
from colab_remote.both.whole import FORMAT, NewerFormat, read_json, write_whole
from colab_remote.errors import Refused
from colab_remote.laptop.project import OURS, Project
from colab_remote.laptop.sync.reconcile import Content, Tree, content


@dataclass(frozen=True, slots=True)
class State:
    """What was agreed on last by path, and what was about to go up and come down when a sync was cut off.

    None is nothing there.
    """

    agreed: Mapping[str, Content | None] = field(default_factory=dict)
    up: Mapping[str, Content | None] = field(default_factory=dict)
    down: Mapping[str, Content | None] = field(default_factory=dict)

    @property
    def tree(self) -> str:
        """One digest (64 bits in hex) of all that was agreed on: paths, modes and contents."""
        text = json.dumps(sorted(self.agreed.items()))
        return hashlib.blake2b(text.encode("ascii"), digest_size=8).hexdigest()

    def ancestor(self, local: Tree, remote: Tree) -> dict[str, Content]:
        """What both sides are known to have had: also what a sync that was cut off has brought to its place."""
        found: dict[str, Content | None] = dict(self.agreed)
        for moves, target in ((self.up, remote), (self.down, local)):
            found |= {path: moved for path, moved in moves.items() if content(target.get(path)) == moved}
        return {path: agreed for path, agreed in found.items() if agreed is not None}


_PARTS = ("agreed", "up", "down")


def load_state(project: Project, disk: str | None) -> State:
    """What this folder and that disk agreed on last; empty for a disk that is new to it. Raises Refused."""
    record = _read(_place(project, disk)) if disk else {}
    if record.get("project") != project.id:
        return State()
    try:
        return State(*({path: row and Content._make(row) for path, row in record[name].items()} for name in _PARTS))
    except (KeyError, TypeError, AttributeError):
        return State()


def save_state(project: Project, disk: str, state: State) -> None:
    """Keep what both sides agree on now, and what is about to change."""
    _write(_place(project, disk), {"project": project.id, **{name: getattr(state, name) for name in _PARTS}})


def states_version(project: Project) -> dict[str, tuple[int, int]]:
    """Differs after any sync of the project that has changed what was agreed on."""
    with contextlib.suppress(FileNotFoundError), os.scandir(project.root / OURS / "state") as found:
        return {entry.name: (entry.stat().st_ino, entry.stat().st_mtime_ns) for entry in found}
    return {}


def load_known(project: Project) -> dict[str, Known]:
    """What earlier scans learned about the project's files; it only saves time."""
    return known_of(_read(_known(project)).get("files", {}))


def save_known(project: Project, known: dict[str, Known]) -> None:
    """Keep what this scan learned."""
    _write(_known(project), {"files": known})


def _known(project: Project) -> Path:
    return project.root / OURS / CACHE


def _place(project: Project, disk: str) -> Path:
    return project.root / OURS / "state" / disk


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except NewerFormat as error:
        raise Refused(str(error), "update colab-remote on this laptop") from None
    except (FileNotFoundError, ValueError):
        return {}


def _write(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, json.dumps({"format": FORMAT, **record}, separators=(",", ":")).encode("ascii"))
