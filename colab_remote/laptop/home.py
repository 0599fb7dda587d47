"""A project's outputs at home: what is here and from which job, each whole, none over another job's."""

from __future__ import annotations

import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from colab_remote.both.checkpoint import Units, whole_by_format
from colab_remote.both.digest import digest_of
from colab_remote.both.ignore import matcher, rooted
from colab_remote.both.whole import flush_folder, replace
from colab_remote.errors import Refused
from colab_remote.laptop.homerecord import HomeRecord
from colab_remote.laptop.places import make_private
from colab_remote.laptop.project import OURS, Project

SMALL = 1 << 20  # bytes up to which a file goes before the checkpoints: metrics, logs, configurations


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
class Arrival:
    """An output that has come home; `kept` is where what lay there went, empty where nothing had to."""

    path: str
    size: int
    checkpoint: bool
    kept: str = ""


@dataclass(frozen=True, slots=True)
class Unplaced:
    """An output that stays on the runtime, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint at home, a file or a folder: its files, its job (empty: not known), and two times.

    `written` is the runtime's clock, `arrived` this laptop's, both in seconds since 1970; `arrived` is 0 for one that
    did not come from a runtime.
    """

    path: str
    files: tuple[str, ...]
    job: str
    written: float
    arrived: float

    @property
    def rank(self) -> tuple[str, float]:
        """Orders checkpoints: jobs by the laptop's clock, which their ids tell; a runtime's may be wrong by a day."""
        return self.job or time.strftime("%Y%m%d-%H%M%S", time.gmtime(self.written)), self.written


class _Staged(NamedTuple):
    """The digest of an output that has come whole, and its time as this disk keeps it, which may be coarser."""

    digest: str
    stored_ns: int


class Home:
    """A project's outputs on the laptop, and the record of which job each is from."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._ours = project.root / OURS
        self._patterns = matcher([*rooted(project.outputs), *project.checkpoints])
        self._units = Units(project.checkpoints)
        self.record = HomeRecord(project)
        self._listed: dict[str, list[Output]] = {}  # files of checkpoints that are folders, as the runtime has them
        self._staged: dict[Output, _Staged] = {}  # those of them that wait here for the others,
        self._lacking: dict[str, set[Output]] = {}  # and those others

    def missing(self, listing: Iterable[Output], everything: bool = False) -> list[Output]:
        """What has to come, the most urgent first: what is small, checkpoints newest first, the rest.

        Of checkpoints the newest and the best, as `keep` says, or `everything`.
        """
        outputs = {output.path: output for output in listing}
        units = self._by_unit({path: output.mtime_ns for path, output in outputs.items() if output.checkpoint})
        self._listed = {unit: [outputs[path] for path in paths] for unit, paths in units.items() if paths != [unit]}
        away = {output for output in outputs.values() if not self._is_here(output)}
        self._lacking = {unit: away & {*files} for unit, files in self._listed.items()}
        begun = {unit: self._begun(unit) for unit in units}
        late = [] if everything else list(units)[self.project.keep :]
        left = {path for unit in late if not _best(unit) and not begun[unit] for path in units[unit]}
        complete = {each for unit, lacking in self._lacking.items() if not lacking for each in self._listed[unit]}
        # Where the last file of a folder is gone by now, the coming of another one brings them all to their place.
        away |= {*filter(self._waits, complete)}
        wanted = [output for output in outputs.values() if output in away and output.path not in left]
        return sorted(wanted, key=lambda output: _urgency(output, begun.get(self._units.of(output.path), 0)))

    def _begun(self, unit: str) -> int:
        """Bytes of large files that wait here for the others of their checkpoint."""
        return sum(each.size for each in self._listed.get(unit, ()) if each.size > SMALL and self._waits(each))

    def sweep(self, listing: Iterable[Output]) -> None:
        """Remove what has come of outputs that are no longer there: it never becomes whole."""
        partials = self._partials()
        for name in set(os.listdir(partials)) - {_name(output.path) for output in listing}:
            (partials / name).unlink()

    def together(self, output: Output) -> int:
        """Bytes that have to come for `output` to be of use: those of all files of a checkpoint that is a folder."""
        return sum(each.size for each in self._lacking.get(self._units.of(output.path), {output}))

    def begin(self, output: Output) -> Path:
        """The file that the output is received in, with what is here of it already. Raises Refused, OSError."""
        place, partial = self._place(output.path), self._partial(output.path)
        if output.size > SMALL:
            self.record.settle()  # it may take long, and be cut off
        record = self.record.files.get(output.path, {})
        grown = record.get("inode") == output.inode and 0 < record.get("size", 0) < output.size
        if not partial.exists() and grown and place.is_file():
            import shutil

            shutil.copyfile(place, partial)  # the runtime compares before it sends the rest
        if partial.exists() and partial.stat().st_size > output.size:
            partial.unlink()
        return partial

    def arrive(self, output: Output, partial: Path, digest: str) -> list[Arrival]:
        """Take in a whole output; what is in its place now. Raises Refused, OSError.

        The files of a checkpoint that is a folder wait for each other: an older one there stays whole until then.
        """
        os.utime(partial, ns=(output.mtime_ns, output.mtime_ns))
        self._staged[output] = _Staged(digest, partial.stat().st_mtime_ns)
        unit = self._units.of(output.path)
        files, lacking = self._listed.get(unit, [output]), self._lacking.get(unit, set())
        lacking.discard(output)
        if lacking or not all(map(self._is_here, files)):
            return []
        if unit in self._listed:
            self.record.folders[unit] = {each.path: [each.size, each.mtime_ns] for each in files}
            self.record.save()  # cut off before all are in their place, it is known not to be whole
        return [self._put(each, self._staged.pop(each).digest) for each in files if self._waits(each)]

    def _put(self, output: Output, digest: str) -> Arrival:
        """Put an output in its place, what another job made out of its way, and note it.

        A file may be where its folder is to be, or a folder where it is itself: that goes out of its way too.
        """
        place, partial = self._place(output.path), self._partial(output.path)
        # The same bytes may lie here without having come: a checkpoint of the user's own that was sent to resume from.
        mine = "arrived" not in self.record.files.get(output.path, {}) and _holds(place, digest)
        kept = self._keep(place, output, digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        replace(partial, place)
        flush_folder(place.parent)
        arrived = {} if mine else {"arrived": time.time()}
        self.record.files[output.path] = {**asdict(output), **arrived, "stored_ns": place.stat().st_mtime_ns}
        self.record.folders.pop(output.path, None)
        self.record.changed()
        return Arrival(output.path, output.size, output.checkpoint, kept)

    def sent(self, path: str, inode: int) -> None:
        """Note that a file of a checkpoint lies on the runtime now as that inode: it need not come back."""
        place = self.project.root / path
        facts = {"path": path, "size": place.stat().st_size, "mtime_ns": place.stat().st_mtime_ns, "checkpoint": True}
        with self.record.turn() as ours:
            if ours:  # else it comes back once, and is what lies here
                came = self.record.files[path] if self.record.untouched(path) else {}
                self.record.files[path] = {"job": "", **came, **facts, "inode": inode, "stored_ns": facts["mtime_ns"]}
                self.record.save()

    def checkpoints(self) -> list[Checkpoint]:
        """The whole checkpoints at home, the newest last."""
        spec = matcher(self.project.checkpoints)
        named = [path for path in _files(self.project.root) if spec.match_file(path)]
        found = {path: self._written(path) for path in named if (self.project.root / path).is_file()}
        whole = [unit for unit in self._by_unit(found).items() if self._whole(*unit)]
        return sorted((self._checkpoint(unit, self._own(unit, files)) for unit, files in whole), key=_rank)

    def newest_of(self, jobs: Iterable[str]) -> Checkpoint | None:
        """The newest checkpoint that came home from one of these jobs, by the record: no folder is searched."""
        here = {path: written for path, written in self._came_of(jobs).items() if self.record.untouched(path)}
        return next((self._checkpoint(*unit) for unit in self._by_unit(here).items()), None)

    def _came_of(self, jobs: Iterable[str]) -> dict[str, int]:
        """The files of checkpoints that came home of these jobs, and when each was written; none of the user's own."""
        ids = set(jobs) - {""}
        records = self.record.files.items()
        came = {path: record for path, record in records if record["checkpoint"] and "arrived" in record}
        return {path: record["mtime_ns"] for path, record in came.items() if record["job"] in ids}

    def _checkpoint(self, unit: str, files: list[str]) -> Checkpoint:
        last = max(files, key=self._written)
        record = self.record.files.get(last, {})
        arrived = max(float(self.record.files.get(path, {}).get("arrived", 0)) for path in files)
        return Checkpoint(unit, tuple(files), str(record.get("job", "")), self._written(last) / 1e9, arrived)

    def _by_unit(self, times: Mapping[str, int]) -> dict[str, list[str]]:
        """The files of each checkpoint, the one that was written last first."""
        units: dict[str, list[str]] = defaultdict(list)
        for path in sorted(times, key=lambda path: (-times[path], path)):
            units[self._units.of(path)].append(path)
        return {unit: sorted(paths) for unit, paths in units.items()}

    def prune(self, job: str) -> None:
        """Remove a job's older checkpoints that came home, as `keep` says; never the best, nor one touched here."""
        units = self._by_unit(self._came_of([job]))
        for unit in list(units)[self.project.keep :]:
            if not _best(unit) and all(map(self.record.untouched, units[unit])):
                self._remove(unit, units[unit])
                self.record.changed()

    def _remove(self, unit: str, paths: list[str]) -> None:
        for path in paths:
            (self.project.root / path).unlink()
            del self.record.files[path]
        self.record.folders.pop(unit, None)
        folders = {parent for path in paths for parent in (self.project.root / path).parents}
        for folder in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):
            if folder.is_relative_to(self.project.root / unit) and not any(folder.iterdir()):
                folder.rmdir()

    def _whole(self, unit: str, files: list[str]) -> bool:
        listed = self.record.folders.get(unit, {})
        came = all(self.record.facts(path) == facts for path, facts in listed.items())
        return came and set(listed) <= set(files) and all(map(self._whole_file, files))

    def _own(self, unit: str, files: list[str]) -> list[str]:
        """The files of a checkpoint that came home, or all that lie there: an earlier one may have left some."""
        return sorted(self.record.folders[unit]) if unit in self.record.folders else files

    def _whole_file(self, path: str) -> bool:
        return whole_by_format(self.project.root / path) is not False

    def _written(self, path: str) -> int:
        return (self.project.root / path).stat().st_mtime_ns

    def _is_here(self, output: Output) -> bool:
        """Whether it need not be brought: it is in its place, or waits for others of its checkpoint."""
        if self._waits(output):
            return True
        record = self.record.files.get(output.path, {})
        same = all(record.get(key) == getattr(output, key) for key in ("size", "mtime_ns", "inode"))
        return same and (self.project.root / output.path).exists()

    def _waits(self, output: Output) -> bool:
        if output not in self._staged:
            return False
        try:
            facts = self._partial(output.path).stat()
        except OSError:
            return False  # another command has put it in its place
        return (output.size, self._staged[output].stored_ns) == (facts.st_size, facts.st_mtime_ns)

    def _place(self, path: str) -> Path:
        """Where an output belongs. Raises Refused for a path that is no output's, or leads out of the project."""
        place = self.project.root / path
        if any(map(_unsafe, path.split("/"))) or not self._patterns.match_file(path):
            raise Refused("is a path that no output of this project can have")
        if not place.parent.resolve().is_relative_to(self.project.root.resolve()):
            raise Refused("would lie outside the project: a link here leads there")
        return place

    def _partials(self) -> Path:
        return make_private(self._ours / "partial")

    def _partial(self, path: str) -> Path:
        return self._partials() / _name(path)

    def _keep(self, place: Path, output: Output, digest: str) -> str:
        """Move what is in the way of `place` aside unless it is this job's own earlier file; where to, or empty.

        Raises Refused where that is no output: it goes up, and would be deleted there.
        """
        found = _in_the_way(place)
        name = found.relative_to(self.project.root)
        if not self._patterns.match_file(name.as_posix()):
            raise Refused(f"would need a folder where `{name.as_posix()}` is, which is no output")
        if not os.path.lexists(found) or _holds(place, digest):
            return ""
        owner = self._owner(found)
        if owner == output.job and found == place and not place.is_dir():
            return ""
        kept = self._ours / "kept" / (owner or "before") / name
        while os.path.lexists(taken := _in_the_way(kept)):
            kept = taken.with_name(f"{taken.name}~") / kept.relative_to(taken)
        make_private(kept.parent)
        replace(found, kept)
        for path in self._paths(found, kept):
            self.record.files.pop(path, None)
        return kept.relative_to(self.project.root).as_posix()

    def _owner(self, found: Path) -> str | None:
        """The job of which came all that lies at `found`; None where something did not, or was touched here."""
        paths = self._paths(found, found)
        jobs = {self.record.files.get(path, {}).get("job") if self.record.came(path) else None for path in paths}
        return jobs.pop() if len(jobs) == 1 else None

    def _paths(self, name: Path, found: Path) -> list[str]:
        """The project's paths of the files that lie at `found` and are, or were, called `name` there."""
        files = [name / inner for inner in _files(found)] if found.is_dir() else [name]
        return [file.relative_to(self.project.root).as_posix() for file in files]


def _rank(checkpoint: Checkpoint) -> tuple[str, float]:
    return checkpoint.rank


def _best(path: str) -> bool:
    return "best" in path


def _in_the_way(place: Path) -> Path:
    """What is no folder on the way to `place`, or else `place` itself, whether or not anything is there."""
    way = (*reversed(place.parents), place)
    return next((path for path in way if os.path.lexists(path) and not path.is_dir()), place)


def _holds(place: Path, digest: str) -> bool:
    return place.is_file() and digest_of(place.resolve()) == digest


def _urgency(output: Output, begun: int) -> tuple[int, int, int]:
    """What is small first, then checkpoints, of which the one goes on that has `begun` to come, else the newest."""
    if output.size <= SMALL:
        return 0, 0, output.size
    return (1, -begun, -output.mtime_ns) if output.checkpoint else (2, 0, output.size)


def _name(path: str) -> str:
    return hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _unsafe(part: str) -> bool:
    """Whether no file of a project can have that name, or none may be written under it."""
    foreign = os.name == "nt" and bool(set(part) & set('<>:"\\|?*'))
    return part in ("", ".", "..", OURS, ".git") or "\0" in part or foreign


def _files(root: Path) -> Iterator[str]:
    for base, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in (OURS, ".git")]
        yield from (Path(base, name).relative_to(root).as_posix() for name in names)
