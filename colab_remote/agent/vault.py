"""The vault: a folder that outlives the VM, such as a mounted Drive, with a copy of the newest whole checkpoint."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from colab_remote.agent.outputs import SETTLE, Seen, Watcher, as_seen, inside
from colab_remote.agent.serve import Call, Method
from colab_remote.both.whole import WholeFile, fits, read_json, write_json

NOTE = "colab-remote.json"  # in the vault: which checkpoint lies there, and whose
_SHAPE = {"project": str, "path": str, "job": str, "written": float, "in": str, "files": list}
SAID = "vault.json"  # in the job's record: what came of the last copy
_STAMP = "colab-remote-"  # what a copy's folder is called, and when it was written
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
    """What lies in a project's vault, one checkpoint or none: `path`, `files`, `job`, `written` (seconds), in DATA."""
    vault, found = _asked(call)
    whole = found and all((vault / found["in"] / path).is_file() for path in found["files"])
    call.send([json.dumps([found] if whole else []).encode("ascii")])
    return {}


def take(call: Call) -> dict[str, Any]:
    """Copy the checkpoint in the vault into the project, for a job to resume from."""
    vault, found = _asked(call)
    project = Path(os.path.realpath(call.arguments["folder"]))
    for path in found.get("files", []):
        _copy(vault / found["in"], project, path, as_seen(inside(vault / found["in"], path).stat()))
    return {}


def _asked(call: Call) -> tuple[Path, dict[str, Any]]:
    """A project's vault and the note there, an empty one where that is of no checkpoint, or of another project's."""
    vault = _vault(call.arguments["folder"], call.arguments["vault"])
    found = _note(vault)
    return vault, found if found.get("project") == call.arguments["project"] else {}


def _copied(record: Path, project: Path, vault: Path, files: list[dict[str, Any]], job: dict[str, Any]) -> bool:
    """Whether the files of a checkpoint are in the vault, alone there; the job's record says how that went."""
    try:
        said = _replaced(project, vault, files, job)
    except FileNotFoundError:
        return False  # the job has removed it or written it anew, which means that there is a newer one
    except OSError as error:
        said = f"not kept: {error.strerror}"
    with suppress(OSError):  # a full disk; to keep checkpoints is more than to say so
        write_json(record / SAID, {"said": said, "at": time.time()})
    return bool(said == files[0]["unit"])


def _replaced(project: Path, vault: Path, files: list[dict[str, Any]], job: dict[str, Any]) -> str:
    """Copy the files of a checkpoint to a folder of their own, so that the one before stays whole; its name.

    Raises OSError, FileNotFoundError where they are not as they were.
    """
    before, unit = _note(vault), str(files[0]["unit"])
    written = max(entry["mtime_ns"] for entry in files)
    about = {"project": job["project"], "job": job["id"], "path": unit, "written": written / 1e9}
    folder = f"{_STAMP}{written}"
    if before and before["project"] != job["project"]:
        return "not kept: another project's is there"
    if before and before["in"] == folder:
        return unit  # resumed from there
    try:
        for entry in files:
            _copy(project, vault / folder, entry["path"], Seen(entry["size"], entry["mtime_ns"], entry["inode"]))
        write_json(vault / NOTE, {**about, "in": folder, "files": [entry["path"] for entry in files]})
    except BaseException:
        shutil.rmtree(vault / folder, ignore_errors=True)
        raise
    for old in vault.glob(f"{_STAMP}*"):  # what was cut off among them
        if old.name != folder and old.name.removeprefix(_STAMP).isdigit():
            shutil.rmtree(old, ignore_errors=True)
    return unit


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


def _note(vault: Path) -> dict[str, Any]:
    try:
        found = read_json(vault / NOTE)
    except (OSError, ValueError):
        return {}
    return found if fits(found, _SHAPE) else {}


METHODS: dict[str, Method] = {"vault_note": note, "vault_take": take}
