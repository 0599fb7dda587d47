"""The vault: a folder that outlives the VM, such as a mounted Drive, with a copy of the newest whole checkpoint."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from colab_remote.agent.outputs import SETTLE, Seen, Watcher, as_seen, inside
from colab_remote.agent.serve import Call, Method
from colab_remote.both.whole import WholeFile, read_json, write_json

NOTE = "colab-remote.json"  # in the vault: which checkpoint lies there, and whose
SAID = "vault.json"  # in the job's record: what came of the last copy
_LOOK = 2.0  # seconds between two looks for a newer checkpoint


def fill(record: Path, job: dict[str, Any], ended: threading.Event) -> None:
    """Copy each newest checkpoint of a job's project, until the job has ended and what it left half-written settled."""
    wish = job["to_vault"]
    project, vault = Path(os.path.realpath(job["folder"])), _vault(job["folder"], wish["folder"])
    watcher = Watcher(project, tuple(wish["outputs"]), tuple(wish["checkpoints"]))
    copied, deadline = 0, float("inf")
    while True:
        if ended.wait(_LOOK) and deadline == float("inf"):
            deadline = time.monotonic() + SETTLE
        files, waiting = watcher.newest_checkpoint()
        written = max((entry["mtime_ns"] for entry in files), default=0)
        if written > copied and vault.is_dir() and _copied(record, project, vault, files, job):
            copied = written
        if ended.is_set() and (not waiting or time.monotonic() > deadline):
            return


def note(call: Call) -> dict[str, Any]:
    """What lies in a project's vault: `path`, `files`, `job` and `written` (seconds); nothing where it is empty."""
    asked = call.arguments
    vault = _vault(asked["folder"], asked["vault"])
    found = _note(vault, asked["project"])
    return found if found and all((vault / path).is_file() for path in found["files"]) else {}


def take(call: Call) -> dict[str, Any]:
    """Copy the checkpoint in the vault into the project, for a job to resume from."""
    asked = call.arguments
    vault, project = _vault(asked["folder"], asked["vault"]), Path(os.path.realpath(asked["folder"]))
    for path in _note(vault, asked["project"]).get("files", []):
        _copy(vault, project, path, as_seen(inside(vault, path).stat()))
    return {}


def _copied(record: Path, project: Path, vault: Path, files: list[dict[str, Any]], job: dict[str, Any]) -> bool:
    """Whether the files of a checkpoint are in the vault, alone there; the job's record says how that went."""
    paths = [entry["path"] for entry in files]
    old = _note(vault, job["project"]).get("files", [])
    written = max(entry["mtime_ns"] for entry in files) / 1e9
    try:
        for entry in files:
            _copy(project, vault, entry["path"], Seen(entry["size"], entry["mtime_ns"], entry["inode"]))
        about = {"project": job["project"], "job": job["id"], "path": files[0]["unit"], "files": paths}
        write_json(vault / NOTE, {**about, "written": written})
        for path in set(old) - set(paths):
            inside(vault, path).unlink(missing_ok=True)
        said = files[0]["unit"]
    except FileNotFoundError:
        return False  # the job has removed it or written it anew, which means that there is a newer one
    except OSError as error:
        said = f"not kept: {error.strerror}"
    write_json(record / SAID, {"said": said, "at": time.time()})
    return bool(said == files[0]["unit"])


def _copy(source: Path, target: Path, path: str, listed: Seen) -> None:
    """Copy a file that is as it was `listed`. Raises FileNotFoundError for another one of that name."""
    place = inside(target, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    with inside(source, path).open("rb") as reading, WholeFile(place, 0o644, listed.mtime_ns) as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
        if as_seen(os.fstat(reading.fileno())) != listed:
            raise FileNotFoundError(path)


def _vault(folder: str, vault: str) -> Path:
    """A relative one is meant from the project's folder."""
    return Path(os.path.realpath(Path(folder, os.path.expanduser(vault))))


def _note(vault: Path, project: str) -> dict[str, Any]:
    try:
        found = read_json(vault / NOTE)
        return found if found["project"] == project and isinstance(found["files"], list) else {}
    except (OSError, ValueError, KeyError):
        return {}


METHODS: dict[str, Method] = {"vault_note": note, "vault_take": take}
