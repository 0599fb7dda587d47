"""Outputs come home: each whole and verified, none over another job's, nothing outside the project."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec

from colab_remote.both.checkpoint import whole_by_format
from colab_remote.both.protocol import CHUNK
from colab_remote.both.whole import flush_folder, read_json, write_json
from colab_remote.errors import ColabRemoteError, Refused, Unreachable
from colab_remote.laptop.conversation import Conversation
from colab_remote.laptop.places import make_private
from colab_remote.laptop.project import OURS, Project

_SMALL = 1 << 20  # bytes up to which a file goes before the checkpoints: metrics, logs, configurations


@dataclass(frozen=True, slots=True)
class Output:
    """An output as the runtime lists it: `job` wrote it, as far as times can tell."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    job: str
    checkpoint: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What may travel, what is still being written, whether the job is over, and a digest of all this."""

    outputs: list[Output]
    waiting: list[str]
    over: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """An output that has come home; `kept` is where the file that lay there went, empty where none had to."""

    path: str
    size: int
    checkpoint: bool
    kept: str = ""


class Changed(ColabRemoteError):
    """An output was written anew or removed while it travelled; a later listing knows."""


class Home:
    """A project's outputs on the laptop, and the record of which job each is from."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._ours = project.root / OURS
        self._patterns = GitIgnoreSpec.from_lines([*project.outputs, *project.checkpoints])
        self._record = self._ours / "outputs.json"
        try:
            self._files: dict[str, dict[str, Any]] = read_json(self._record)["files"]
        except (FileNotFoundError, ValueError, KeyError):
            self._files = {}

    def missing(self, listing: list[Output]) -> list[Output]:
        """What has to come, the most urgent first: what is small, checkpoints newest first, the rest."""
        checkpoints = sorted((output for output in listing if output.checkpoint), key=lambda output: -output.mtime_ns)
        left = {output.path for output in checkpoints[self.project.keep :] if "best" not in output.path}
        return sorted((output for output in listing if output.path not in left and not self._has(output)), key=_urgency)

    def fetch(self, conversation: Conversation, folder: str, output: Output) -> Arrival:
        """Bring one output home, going on where an earlier attempt was cut off. Raises Changed, Refused."""
        place, partial = self._place(output.path), self._partial(output.path)
        self._prepare(partial, place, output)
        whole = _receive(conversation, folder, output, partial)
        if digest_of(partial) != whole:
            partial.unlink()
            raise Unreachable(f"`{output.path}` arrived damaged", "run it again")
        os.utime(partial, ns=(output.mtime_ns, output.mtime_ns))
        kept = self._keep(place, output, whole)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(partial, place)
        flush_folder(place.parent)
        self._files[output.path] = asdict(output)
        self._prune(output.job)
        write_json(self._record, {"files": self._files})
        return Arrival(output.path, output.size, output.checkpoint, kept)

    def _prune(self, job: str) -> None:
        """Remove a job's older checkpoints that came home, as `keep` says; never the best, nor one touched here."""
        mine = {path: record for path, record in self._files.items() if record["checkpoint"] and record["job"] == job}
        newest = sorted(mine, key=lambda path: -mine[path]["mtime_ns"])
        for path in newest[self.project.keep :]:
            if "best" not in path and self._untouched(path):
                (self.project.root / path).unlink()
                del self._files[path]

    def newest_checkpoint(self) -> str | None:
        """The path of the newest whole checkpoint at home: of the latest job, and there the last one written."""
        spec = GitIgnoreSpec.from_lines(self.project.checkpoints)
        found = [path for path in _files(self.project.root) if spec.match_file(path) and self._whole(path)]
        return max(found, key=self._rank, default=None)

    def _whole(self, path: str) -> bool:
        return path in self._files or whole_by_format(self.project.root / path) is not False

    def _rank(self, path: str) -> tuple[str, int]:
        """Jobs are ordered by the laptop's clock, which their ids tell; a runtime's may be wrong by a day."""
        written = (self.project.root / path).stat().st_mtime_ns
        job = self._files.get(path, {}).get("job")
        return job or time.strftime("%Y%m%d-%H%M%S", time.gmtime(written / 1e9)), written

    def _has(self, output: Output) -> bool:
        record = self._files.get(output.path, {})
        same = all(record.get(key) == getattr(output, key) for key in ("size", "mtime_ns", "inode"))
        return same and (self.project.root / output.path).exists()

    def _untouched(self, path: str) -> bool:
        """Whether what lies there is what came home."""
        record = self._files.get(path, {})
        try:
            facts = (self.project.root / path).lstat()
        except OSError:
            return False
        return (record.get("mtime_ns"), record.get("size")) == (facts.st_mtime_ns, facts.st_size)

    def _place(self, path: str) -> Path:
        """Where an output belongs. Raises Refused for a path that is no output's, or leads out of the project."""
        place = self.project.root / path
        inside = place.parent.resolve().is_relative_to(self.project.root.resolve())
        if any(map(_unsafe, path.split("/"))) or not self._patterns.match_file(path) or not inside or place.is_dir():
            raise Refused(f"the runtime offers `{path}` as an output, which it cannot be")
        return place

    def _partial(self, path: str) -> Path:
        name = hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        return make_private(self._ours / "partial") / name

    def _prepare(self, partial: Path, place: Path, output: Output) -> None:
        """Begin with what is here of a file that has only grown since."""
        record = self._files.get(output.path, {})
        grown = record.get("inode") == output.inode and 0 < record.get("size", 0) < output.size
        if not partial.exists() and grown and place.is_file():
            shutil.copyfile(place, partial)
        if partial.exists() and partial.stat().st_size > output.size:
            partial.unlink()

    def _keep(self, place: Path, output: Output, digest: str) -> str:
        """Move what lies at `place` out of the way unless it is this job's own earlier one; where to, or empty."""
        record = self._files.get(output.path, {})
        if not place.exists() or digest_of(place) == digest:
            return ""
        ours = self._untouched(output.path)
        if ours and record.get("job") == output.job:
            return ""
        kept = self._ours / "kept" / (str(record["job"]) if ours and record.get("job") else "before") / output.path
        while kept.exists():
            kept = kept.with_name(f"{kept.name}~")
        make_private(kept.parent)
        os.replace(place, kept)
        return kept.relative_to(self.project.root).as_posix()


def list_outputs(
    conversation: Conversation, project: Project, folder: str, *, job: str = "", wait: float = 0.0, known: str = ""
) -> Listing:
    """The outputs that may travel: now, or within `wait` seconds when they differ from the listing `known`."""
    patterns: dict[str, Any] = {"outputs": project.outputs, "checkpoints": project.checkpoints}
    reply = conversation.ask("output_list", folder=folder, job=job, wait=wait, known=known, **patterns)
    names = [field.name for field in fields(Output)]
    try:
        outputs = [Output(**{name: entry[name] for name in names}) for entry in json.loads(reply.data)]
    except (ValueError, KeyError, TypeError):
        raise ColabRemoteError(f"`{conversation.host}` answered with something that is no listing") from None
    return Listing(outputs, reply.result["waiting"], bool(reply.result["over"]), reply.result["listing"])


def bring_home(
    conversation: Conversation, project: Project, folder: str, job: str = "", wait: float = 0.0
) -> Iterator[Arrival]:
    """Bring outputs home, the most urgent first; with a `job`, until it is over and all that it made is here."""
    home, known = Home(project), ""
    while True:
        listing = list_outputs(conversation, project, folder, job=job, wait=wait if known else 0.0, known=known)
        known = listing.digest
        for output in home.missing(listing.outputs):
            try:
                yield home.fetch(conversation, folder, output)
            except Changed:
                known = ""
            if output.size > _SMALL:
                known = ""  # it took a while: something more urgent may be there by now
                break
        if known and (listing.over or not job):
            return


def _receive(conversation: Conversation, folder: str, output: Output, partial: Path) -> str:
    """Append what is missing in `partial`; the digest that the whole must have. Raises Changed."""
    have = partial.stat().st_size if partial.exists() else 0
    asked: dict[str, Any] = {
        "path": output.path,
        "size": output.size,
        "offset": have,
        "digest": digest_of(partial) if have else "",
    }
    exchange = conversation.start("output_send", folder=folder, **asked)
    with partial.open("ab") as file:
        for piece in exchange:
            if isinstance(piece, dict):
                file.truncate(int(piece["offset"]))
            else:
                file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    if exchange.result["changed"]:
        partial.unlink()
        raise Changed(f"`{output.path}` changed on its way")
    return str(exchange.result["whole"])


def _urgency(output: Output) -> tuple[int, int]:
    if output.size <= _SMALL:
        return 0, output.size
    return (1, -output.mtime_ns) if output.checkpoint else (2, output.size)


def digest_of(path: Path) -> str:
    """The digest of a file's bytes, as the agent makes it."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(CHUNK), b""):
            digest.update(piece)
    return digest.hexdigest()


def _unsafe(part: str) -> bool:
    """Whether no file of a project can have that name, or none may be written under it."""
    foreign = os.name == "nt" and bool(set(part) & set('<>:"\\|?*'))
    return part in ("", ".", "..", OURS, ".git") or "\0" in part or foreign


def _files(root: Path) -> Iterator[str]:
    for base, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in (OURS, ".git")]
        yield from (Path(base, name).relative_to(root).as_posix() for name in names)
