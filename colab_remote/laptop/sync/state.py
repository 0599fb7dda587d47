"""What a project keeps about its syncs: what both sides agreed on, by disk, and what the last scan learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from colab_remote.both.scan import Known
from colab_remote.both.whole import FORMAT, NewerFormat, read_json, write_whole
from colab_remote.errors import Refused
from colab_remote.laptop.project import OURS, Project
from colab_remote.laptop.sync.reconcile import Content


def load_state(project: Project, disk: str | None) -> dict[str, Content]:
    """What this folder and that disk agreed on last; empty for a disk that is new to it. Raises Refused."""
    if disk is None:
        return {}
    record = _read(_place(project, disk))
    if record.get("project") != project.id:
        return {}
    try:
        return {path: Content(*row) for path, row in record["entries"].items()}
    except (KeyError, TypeError, AttributeError):
        return {}


def save_state(project: Project, disk: str, agreed: dict[str, Content]) -> None:
    """Keep what both sides agree on now."""
    _write(_place(project, disk), {"project": project.id, "entries": agreed})


def load_known(project: Project) -> dict[str, Known]:
    """What earlier scans learned about the project's files; it only saves time."""
    try:
        return {path: Known(*row) for path, row in _read(_known(project)).get("files", {}).items()}
    except (TypeError, AttributeError):
        return {}


def save_known(project: Project, known: dict[str, Known]) -> None:
    """Keep what this scan learned."""
    _write(_known(project), {"files": known})


def _known(project: Project) -> Path:
    return project.root / OURS / "known"


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
