"""A project: a folder on the laptop, what its `colab-remote.toml` says, and what we keep in its `.colab-remote/`."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from colab_remote.both.whole import NewerFormat, read_json, write_json, write_whole
from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.laptop.hosts import Host
from colab_remote.laptop.lock import LOCK, hold
from colab_remote.laptop.places import account_home
from colab_remote.laptop.settings import read_toml

SETTINGS = "colab-remote.toml"
OURS = ".colab-remote"
_MARKS = (SETTINGS, ".git")
_KEYS: Mapping[str, Mapping[str, type]] = {
    "project": {
        "name": str,
        "train": str,
        "resume": str,
        "setup": str,
        "outputs": list,
        "checkpoints": list,
        "keep": int,
        "vault": str,
    },
    "sync": {"exclude": list, "budget": str},
}
_CHECKPOINTS = ("*.pt", "*.pth", "*.ckpt", "*.safetensors", "checkpoint-*/")  # below each folder of outputs
_KINDS = {str: "text", list: "a list of texts", int: "a whole number", dict: "a table"}
_NAME = re.compile(r"(?!\.)[^/\\]{1,100}")
_BUDGET = re.compile(r"auto|\d+(\.\d+)? ?[kMG]B")


@dataclass(frozen=True)
class Project:
    """A project: its folder, its id (128 bits in hex) and its settings, defaults where the file says nothing.

    `name` is the folder under the runtime's working directory. `outputs`, `checkpoints` and `exclude` are patterns
    relative to `root`; `keep` counts checkpoints; `budget` is `auto` or an amount such as `800MB` a month.
    """

    root: Path
    id: str
    name: str
    train: str | None = None
    resume: str | None = None
    setup: str | None = None
    outputs: tuple[str, ...] = ("saved/",)
    checkpoints: tuple[str, ...] = ()
    keep: int = 3
    vault: str | None = None
    exclude: tuple[str, ...] = ()
    budget: str = "auto"


def find_project(start: Path) -> Project | None:
    """The project that `start` lies in, None outside one. Raises Refused for settings that cannot be understood.

    It is the nearest folder upwards with `colab-remote.toml` or `.git`; a home folder, `/` and a drive's root are none.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if never_project(folder):
            return None
        if any((folder / mark).exists() for mark in _MARKS):
            return load_project(folder)
    return None


def require_project(start: Path) -> Project:
    """The project that `start` lies in. Raises Refused outside one."""
    project = find_project(start)
    if project is None:
        raise Refused(f"`{start.absolute()}` lies in no project", "`colab-remote init` makes a folder a project")
    return project


def load_project(root: Path) -> Project:
    """The project whose folder is `root`; its `.colab-remote/` is made where there is none. Raises Refused."""
    settings = read_settings(root / SETTINGS)
    name = settings.pop("name", None) or safe_name(root.name)
    settings.setdefault("checkpoints", _usual_checkpoints(settings.get("outputs", Project.outputs)))
    return Project(root=root, id=_identity(root), name=name, **settings)


def never_project(folder: Path) -> bool:
    """Whether `folder` (resolved) is a home folder, `/` or a drive's root: too much to ever be sent away."""
    homes = (Path.home(), account_home())
    return folder == folder.parent or folder in [home.resolve() for home in homes if home]


def safe_name(text: str) -> str:
    """A project's name made of a folder's: what no name may hold is left out."""
    kept = "".join(c for c in text if c.isprintable() and c not in "/\\").strip().lstrip(".")
    return kept[:100] or "project"


def check_name(name: str) -> str:
    """`name`, where it can be a project's. Raises Refused."""
    if not _NAME.fullmatch(name) or not name.isprintable() or name != name.strip():
        raise Refused(
            f"`{name}` cannot be a project's name",
            "it names a folder on the runtime: up to 100 letters without `/`, not beginning with a dot",
        )
    return name


def read_settings(path: Path) -> dict[str, Any]:
    """What `colab-remote.toml` says, by the names of Project; empty without a file. Raises Refused."""
    found: dict[str, Any] = {}
    for name, table in read_toml(path).items():
        _expect(path, name, table, dict, tuple(_KEYS), name)
        for key, value in table.items():
            keys = _KEYS[name]
            found[key] = _checked(path, f"{name}.{key}", key, value, keys)
    return found


def work_folder(host: Host, project: Project | None) -> str:
    """Where on the runtime a job works: its project's folder there, or the working directory."""
    return posixpath.join(host.ticket.workdir, project.name) if project else host.ticket.workdir


def remembered_host(project: Project) -> str | None:
    """The host that the project was last synced with, None for a new one."""
    name = _record(project.root).get("host")
    return name if isinstance(name, str) else None


def remember_host(project: Project, name: str) -> None:
    """Keep `name` as the host that the project's commands take when none is named."""
    record = _record(project.root)
    if record.get("host") != name:
        write_json(project.root / OURS / "project.json", {**record, "host": name})


def _usual_checkpoints(outputs: tuple[str, ...]) -> tuple[str, ...]:
    folders = [pattern for pattern in outputs if pattern.endswith("/")]
    return tuple(f"{folder}**/{name}" for folder in folders for name in _CHECKPOINTS)


def _checked(path: Path, place: str, key: str, value: object, keys: Mapping[str, type]) -> Any:
    _expect(path, place, value, keys.get(key, object), tuple(keys), key)
    if key == "name":
        return check_name(str(value))
    if key == "keep" and int(str(value)) < 1:
        raise Refused(f"`{place}` in `{path}` is less than 1", "the newest checkpoint is always kept")
    if key == "budget" and not _BUDGET.fullmatch(str(value)):
        raise Refused(f"`{place}` in `{path}` is no amount: `{value}`", 'write "auto", or an amount such as "800MB"')
    if isinstance(value, list):
        return tuple(_pattern(path, place, entry) for entry in value)
    return value


def _expect(path: Path, place: str, value: object, kind: type, known: tuple[str, ...], key: str) -> None:
    """Raise Refused unless `key` is known and `value` of that kind."""
    if key not in known:
        import difflib

        near = difflib.get_close_matches(key, known, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(f'`{name}`' for name in known)}"
        raise Refused(f"`{path}` has `{place}`, which means nothing", hint)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Refused(f"`{place}` in `{path}` must be {_KINDS[kind]}, and is `{value!r}`", "correct it there")


def _pattern(path: Path, place: str, entry: object) -> str:
    if not isinstance(entry, str) or not entry.strip():
        raise Refused(f"`{place}` in `{path}` must be a list of texts, and holds `{entry!r}`", "correct it there")
    if entry.startswith(("~", "/")) or ".." in PurePosixPath(entry).parts or not entry.isprintable():
        raise Refused(f"`{place}` in `{path}` leaves the project: `{entry}`", "name a place inside the project")
    return entry


def _identity(root: Path) -> str:
    """The project's id, made anew in a folder that has none or was copied from another."""
    found = root.stat()
    place = {"device": found.st_dev, "inode": found.st_ino, "path": str(root)}
    return _id(root, place) or _new_id(root, place)


def _id(root: Path, place: dict[str, Any]) -> str | None:
    record = _record(root)
    return record["id"] if _is_same(record.get("root"), place) and isinstance(record.get("id"), str) else None


def _is_same(before: object, place: dict[str, Any]) -> bool:
    """Whether it is the same folder: moved it keeps its disk, and a disk that was away may have another number."""
    if not isinstance(before, dict) or before.get("inode") != place["inode"]:
        return False
    return any(before.get(name) == place[name] for name in ("device", "path"))


def _new_id(root: Path, place: dict[str, Any]) -> str:
    folder = root / OURS
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with hold(folder / LOCK):
            found = _id(root, place)  # another command may have been faster
            if found is None:
                found = os.urandom(16).hex()
                write_whole(folder / ".gitignore", b"*\n")
                write_json(folder / "project.json", {"id": found, "root": place})
            return found
    except OSError as error:
        raise ColabRemoteError(
            f"`{folder}` cannot be written: {error.strerror}", "a project keeps its state there"
        ) from None


def _record(root: Path) -> dict[str, Any]:
    path = root / OURS / "project.json"
    try:
        return read_json(path)
    except NewerFormat as error:
        raise Refused(str(error), "update colab-remote on this laptop") from None
    except (FileNotFoundError, ValueError):
        return {}
