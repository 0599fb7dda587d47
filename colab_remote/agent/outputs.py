"""Outputs on the runtime: which are whole, and their bytes."""

from __future__ import annotations

import json
import os
import stat
import time
from bisect import bisect
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from colab_remote.agent.jobs import job_over, job_starts
from colab_remote.agent.serve import Call, Method
from colab_remote.both.checkpoint import Units, whole_by_format
from colab_remote.both.digest import Digest, digest_of
from colab_remote.both.ignore import matcher, rooted
from colab_remote.both.protocol import CHUNK, Refusal
from colab_remote.both.whole import TEMPORARY, WholeFile

STILL = 2.0  # seconds without a change after which a file of no known format counts as whole
_LOOK = 0.25  # seconds between two looks while a listing is waited for, at least
_SHARE = 20  # how many times longer than a look the pause after it is: training comes first
SETTLE = 10.0  # seconds that what a job left half-written gets after its end
_GROWING = (".jsonl", ".csv", ".tsv", ".log", ".txt")  # each line of these is whole by itself
_EVENTS = "events.out.tfevents."  # TensorBoard's, read up to the last whole record
_NEVER = (".git", ".colab-remote", "__pycache__")


class Seen(NamedTuple):
    """A file as it lies there; `moved` is when it was first seen so (monotonic)."""

    size: int
    mtime_ns: int
    inode: int


class Watcher:
    """Looks at a project's outputs again and again and remembers when each last moved."""

    def __init__(self, folder: Path, outputs: tuple[str, ...], checkpoints: tuple[str, ...]) -> None:
        self._folder = folder
        self._outputs = matcher([*rooted(outputs), *checkpoints])
        self._checkpoints = matcher(checkpoints)
        self._units = Units(checkpoints)
        self._moved: dict[str, tuple[Seen, float]] = {}
        self._whole: dict[str, Seen] = {}

    def look(self, starts: list[tuple[float, str]]) -> tuple[list[dict[str, Any]], list[str]]:
        """The files that may travel now, each with the last job that began before it was written, and the names of
        those that are still being written."""
        found = dict(self._walk())
        fresh = [path for path, seen in found.items() if self._whole.get(path) != seen]
        writing = _open_for_writing(self._folder) if fresh else set()
        sizes = {path: self._size(path, seen, path in writing) for path, seen in found.items()}
        torn = {self._units.of(path) for path, size in sizes.items() if size is None}
        waiting = [path for path in found if self._units.of(path) in torn]
        ready = [
            {"path": path, **self._facts(path, seen, starts), "size": sizes[path]}
            for path, seen in found.items()
            if self._units.of(path) not in torn
        ]
        return ready, waiting

    def newest_checkpoint(self) -> tuple[list[dict[str, Any]], bool]:
        """The files of the newest whole checkpoint, each with its `unit`, and whether anything is half-written yet."""
        ready, waiting = self.look([])
        found = [{**entry, "unit": self._units.of(entry["path"])} for entry in ready if entry["checkpoint"]]
        # One that is also called the best one is the same file under a name that will be another's.
        last = max(found, key=lambda entry: (entry["mtime_ns"], "best" not in entry["path"]), default=None)
        return [entry for entry in found if last and entry["unit"] == last["unit"]], bool(waiting)

    def _facts(self, path: str, seen: Seen, starts: list[tuple[float, str]]) -> dict[str, Any]:
        before = bisect(starts, (seen.mtime_ns / 1e9, "~"))
        job = starts[before - 1][1] if before else ""
        return {**seen._asdict(), "job": job, "checkpoint": self._checkpoints.match_file(path)}

    def _size(self, path: str, seen: Seen, writing: bool) -> int | None:
        """How much of the file may travel: all, whole lines, or None for not yet."""
        if self._whole.get(path) == seen:
            return seen.size
        still = self._still(path, seen)
        if not still and self._units.of(path) != path:
            return None  # others of its checkpoint may be on their way
        name = path.rpartition("/")[2]
        if not still and name.endswith(_GROWING):
            return _whole_lines(self._folder / path, seen.size)
        if name.startswith(_EVENTS):
            return seen.size
        if writing or not _complete(self._folder / path, still):
            return None
        self._whole[path] = seen
        return seen.size

    def _still(self, path: str, seen: Seen) -> bool:
        now = time.monotonic()
        before, since = self._moved.get(path, (None, now))
        if before != seen:
            # A file that we never saw moving may have been still for long; a clock set back must not make it so.
            age = time.time() - seen.mtime_ns / 1e9 if before is None else 0.0
            since = now - max(0.0, age)
            self._moved[path] = seen, since
        return now - since >= STILL

    def _walk(self) -> Iterator[tuple[str, Seen]]:
        for base, folders, names in os.walk(self._folder):
            folders[:] = [name for name in folders if name not in _NEVER]
            if "pyvenv.cfg" in names:
                folders.clear()
            for name in names:
                place = os.path.join(base, name)
                path = os.path.relpath(place, self._folder)
                if self._outputs.match_file(path) and not name.startswith(TEMPORARY):
                    seen = _seen(place)
                    if seen:
                        yield path, seen


@lru_cache
def _watcher(folder: Path, outputs: tuple[str, ...], checkpoints: tuple[str, ...]) -> Watcher:
    """The conversation's one Watcher of these files, so that it remembers from call to call."""
    return Watcher(folder, outputs, checkpoints)


def listing(call: Call) -> dict[str, Any]:
    """The outputs that may travel, as JSON in DATA: at once, or when they differ from the listing `known`.

    `over` is whether the job has ended and nothing is half-written any more.
    """
    asked = call.arguments
    watcher = _watcher(_project(asked["folder"]), tuple(asked["outputs"]), tuple(asked["checkpoints"]))
    deadline = time.monotonic() + float(asked["wait"])
    starts = job_starts(asked["folder"])
    settled: float | None = None
    while True:
        ended = bool(asked["job"]) and job_over(asked["job"])
        began = time.monotonic()
        ready, waiting = watcher.look(starts)
        pause = max(_LOOK, _SHARE * (time.monotonic() - began))
        settled = settled or (time.monotonic() + SETTLE if ended else None)
        over = ended and (not waiting or time.monotonic() >= (settled or 0))
        data = json.dumps(ready).encode()
        digest = Digest(data).hexdigest()
        if over or digest != asked["known"] or time.monotonic() >= deadline or call.cancelled(pause):
            call.send([data])
            return {"listing": digest, "over": over}


def send(call: Call) -> dict[str, Any]:
    """An output's bytes up to `size`, from `offset` where the first `offset` bytes digest to `digest`, else from 0.

    An event tells the offset before the bytes; `whole` digests all bytes up to `size`; `changed` says that it was
    removed or written anew since it was listed with that `size`, `mtime_ns` and `inode`: they are not that file's.
    """
    asked = call.arguments
    path = inside(_project(asked["folder"]), asked["path"])
    try:
        opened = path.open("rb")
    except FileNotFoundError:
        return {"whole": "", "changed": True}
    listed, grows = Seen(asked["size"], asked["mtime_ns"], asked["inode"]), _grows(path.name)
    with opened as file:
        if _rewritten(file, listed, grows):
            return {"whole": "", "changed": True}
        digest, offset = Digest(), asked["offset"]
        for piece in _pieces(file, offset):
            digest.update(piece)
        if offset and digest.hexdigest() != asked["digest"]:
            file.seek(0)
            digest, offset = Digest(), 0
        call.event({"offset": offset})
        call.send(_digested(_pieces(file, asked["size"] - offset), digest))
        return {"whole": digest.hexdigest(), "changed": _rewritten(file, listed, grows)}


def put(call: Call) -> dict[str, Any]:
    """Take a file of a checkpoint into the project, for a job to resume from; it appears whole. Its inode."""
    path = inside(_project(call.arguments["folder"]), call.arguments["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    with WholeFile(path, 0o644, call.arguments["mtime_ns"]) as file:
        for piece in call.body():
            file.write(piece)
    return {"inode": path.stat().st_ino}


def has(call: Call) -> dict[str, Any]:
    """Whether `path` in the project has these bytes: its digest, empty where there is none."""
    path = inside(_project(call.arguments["folder"]), call.arguments["path"])
    try:
        return {"whole": digest_of(path)}
    except FileNotFoundError:
        return {"whole": ""}


def _complete(path: Path, still: bool) -> bool:
    """Whether a file that nobody writes is whole: its format says so, or it has none and has been still."""
    try:
        whole = whole_by_format(path)
    except OSError:
        return False
    return still if whole is None else whole


def _whole_lines(path: Path, size: int) -> int | None:
    """Bytes up to the end of the last whole line, None where there is none."""
    try:
        with path.open("rb") as file:
            begin = max(0, size - CHUNK)
            file.seek(begin)
            end = file.read(size - begin).rfind(b"\n")
    except OSError:
        return None
    return begin + end + 1 if end >= 0 else None


def _open_for_writing(folder: Path) -> set[str]:
    """The files below `folder` that a process has open for writing, as far as we may see."""
    inside = f"{folder}/"
    found = set()
    for descriptors in Path("/proc").glob("[0-9]*/fd"):
        try:
            for name in os.listdir(descriptors):
                target = os.readlink(descriptors / name)
                if target.startswith(inside) and _writes(descriptors.parent / "fdinfo" / name):
                    found.add(target[len(inside) :])
        except OSError:
            continue  # it ended, or is another user's
    return found


def _writes(info: Path) -> bool:
    # proc(5): `flags:` in octal, as in open(2).
    flags = next(line.split()[1] for line in info.read_text("ascii").splitlines() if line.startswith("flags:"))
    return bool(int(flags, 8) & (os.O_WRONLY | os.O_RDWR))


def _seen(path: str | Path) -> Seen | None:
    """A regular file's facts; None for anything else, and for one that is gone."""
    try:
        facts = os.lstat(path)
    except OSError:
        return None
    return as_seen(facts) if stat.S_ISREG(facts.st_mode) else None


def as_seen(facts: os.stat_result) -> Seen:
    """What tells one state of a file from the next."""
    return Seen(facts.st_size, facts.st_mtime_ns, facts.st_ino)


def _project(folder: str) -> Path:
    return Path(os.path.realpath(folder))


def inside(project: Path, path: str) -> Path:
    """`path` in the project. Raises Refusal for one that leads out of it, also through a link."""
    place = Path(os.path.realpath(project / path))
    if project not in place.parents:
        raise Refusal("refused", f"`{path}` is not inside the project")
    return place


def _grows(name: str) -> bool:
    """Whether a file of that name is added to, so that its beginning may travel at any time."""
    return name.endswith(_GROWING) or name.startswith(_EVENTS)


def _rewritten(file: BinaryIO, listed: Seen, grows: bool) -> bool:
    """Whether an open file is not, or no longer, what was listed; a log that has only grown still begins so."""
    now = as_seen(os.fstat(file.fileno()))
    return now != listed and not (grows and now.inode == listed.inode and now.size > listed.size)


def _pieces(file: BinaryIO, count: int) -> Iterator[bytes]:
    while count > 0:
        piece = file.read(min(count, CHUNK))
        if not piece:
            return
        count -= len(piece)
        yield piece


def _digested(pieces: Iterator[bytes], digest: Digest) -> Iterator[bytes]:
    for piece in pieces:
        digest.update(piece)
        yield piece


METHODS: dict[str, Method] = {"output_list": listing, "output_send": send, "output_put": put, "output_has": has}
