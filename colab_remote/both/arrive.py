"""Changes arriving in a project's folder: each checked just before it is made, each file whole."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from colab_remote.both.blocks import patched
from colab_remote.both.digest import Digest, digest_of
from colab_remote.both.pieces import Pieces
from colab_remote.both.place import Unfit, look, open_plain, place_of, unfit_target
from colab_remote.both.records import CHANGED, Step, unpack
from colab_remote.both.scan import Entry
from colab_remote.both.whole import FULL_DISK, TEMPORARY, create, flush_file, flush_file_systems, flush_folder, replace

FULL = "did not fit: the disk is full"
UNWRITABLE = "cannot be written"
_BATCH = 500  # files, and
_BATCH_BYTES = 32 << 20  # bytes, that are flushed together
_MANY = 8  # files for which their whole disk is flushed
_FRESH = 2 * 10**9  # nanoseconds, see scan


@dataclass
class Outcome:
    """What came of the steps: the paths that are as they were to be, and the problems of the others."""

    done: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def apply(
    root: str,
    chunks: Iterable[bytes],
    allowed: Callable[[Step], bool],
    tell: Callable[[int], None] | None = None,
    bits: bool = True,
) -> Outcome:
    """Make the changes that arrive in `chunks`; `tell` hears of bytes as they come, `bits`: the disk has executables.

    A path that is not as its step's `before` says is left alone. Raises ValueError for a stream that is damaged or
    brings a step that is not allowed.
    """
    arrival = _Arrival(root, tell or (lambda count: None), bits)
    pieces = Pieces(chunks)
    with arrival:
        for line in pieces.lines():
            word, value = unpack(line)
            if word == "no":
                arrival.outcome.problems[value[0]] = value[1]
                continue
            step, length = value
            fits = step.patchable and length < step.length if word == "patch" else length in (0, step.length)
            if not allowed(step) or not fits:
                raise ValueError("a step that nobody asked for")
            arrival.take(step, pieces.take(length), word == "patch")
    return arrival.outcome


@dataclass
class _Waiting:
    """A file that has arrived and is not yet in its place."""

    step: Step
    temporary: str
    place: str


class _Arrival:
    """Steps being made. Files wait for each other so that the disk is asked once for many."""

    def __init__(self, root: str, tell: Callable[[int], None], bits: bool) -> None:
        self.root, self.tell, self.bits = root, tell, bits
        self.outcome = Outcome()
        self._waiting: list[_Waiting] = []
        self._bytes = self._made = 0
        self._prefix = f"{TEMPORARY}{os.urandom(8).hex()}-"
        self._touched: set[str] = set()
        self._umask = _umask()

    def __enter__(self) -> _Arrival:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            if kind is None:
                self._settle()
        finally:
            for waiting in self._waiting:
                _drop(waiting)

    def take(self, step: Step, content: Iterator[bytes], is_patch: bool) -> None:
        """Make one step, or note why not; its content is read in any case."""
        try:
            if is_patch:
                with open_plain(place_of(self.root, step.path)) as old:
                    self._receive(step, patched(old, content, step.length))
            elif step.brings:
                self._receive(step, content)
            else:
                self._change(step)
                self.outcome.done.append(step.path)
        except Unfit as error:
            self.outcome.problems[step.path] = str(error)
        except OSError as error:
            self.outcome.problems[step.path] = _reason(error)
        for piece in content:
            self.tell(len(piece))

    def _receive(self, step: Step, content: Iterator[bytes]) -> None:
        assert step.after is not None
        place = place_of(self.root, step.path, make=True)
        handle, temporary = self._temporary(place, step)
        waiting = _Waiting(step, temporary, place)
        self._waiting.append(waiting)
        digest = Digest()
        try:
            try:
                for piece in content:
                    digest.update(piece)
                    _write(handle, piece)
                    self.tell(len(piece))
            finally:
                os.close(handle)
            if digest.hexdigest() != step.after.mark:
                raise Unfit(CHANGED)
        except BaseException:
            _drop(self._waiting.pop())
            raise
        self._bytes += step.length
        if len(self._waiting) >= _BATCH or self._bytes >= _BATCH_BYTES:
            self._settle()

    def _temporary(self, place: str, step: Step) -> tuple[int, str]:
        """A new file beside `place`: its handle and its path."""
        self._made += 1
        path = f"{_folder_of(place)}{os.sep}{self._prefix}{self._made}"
        assert step.after is not None
        mode = _with_bit(0o666 & ~self._umask, step.after.executable, self._umask)
        if step.before:
            mode = 0o600  # what was there may be its owner's alone
        return create(path, mode), path

    def _settle(self) -> None:
        """Bring what waits to the disk and into its place, then the folders' entries to the disk."""
        folders = {_folder_of(waiting.place) for waiting in self._waiting}
        flushed = len(self._waiting) >= _MANY and flush_file_systems(folders)
        for waiting in self._waiting:
            try:
                if not flushed:
                    flush_file(waiting.temporary)
                self._put(waiting)
                self.outcome.done.append(waiting.step.path)
            except Unfit as error:
                self.outcome.problems[waiting.step.path] = str(error)
            except OSError as error:
                self.outcome.problems[waiting.step.path] = _reason(error)
            else:
                continue
            _drop(waiting)
        self._waiting.clear()
        there = [folder for folder in self._touched if os.path.isdir(folder)]
        if not (flushed and flush_file_systems(there)):
            for folder in there:
                flush_folder(Path(folder))
        self._touched.clear()
        self._bytes = 0

    def _put(self, waiting: _Waiting) -> None:
        entry = waiting.step.after
        assert entry is not None
        found = check(waiting.place, waiting.step.before, self.bits)
        if found is not None:  # a new file has its mode
            kept = stat.S_IMODE(found.st_mode) if stat.S_ISREG(found.st_mode) else 0o666 & ~self._umask
            os.chmod(waiting.temporary, _with_bit(kept, entry.executable, self._umask))
        os.utime(waiting.temporary, ns=(entry.mtime_ns, entry.mtime_ns))
        if waiting.step.before is not None and waiting.step.before.kind == "folder":
            _clear(waiting.place, waiting.step.before)
        # RACE: a save between the check and this line is lost; no portable call compares and replaces.
        replace(waiting.temporary, waiting.place)
        self._touched.add(_folder_of(waiting.place))

    def _change(self, step: Step) -> None:
        """A step without content: remove, make a link or a folder, or change a mode."""
        place = place_of(self.root, step.path, make=step.after is not None)
        found = look(place)
        if step.after is not None and step.after.kind == "folder" and found and stat.S_ISDIR(found.st_mode):
            return
        check(place, step.before, self.bits)
        self._touched.add(_folder_of(place))
        if step.after is None:
            self._remove(place, step.before)
        elif step.after.kind == "folder":
            _clear(place, step.before)
            os.mkdir(place)
        elif step.after.kind == "link":
            self._link(place, step)
        else:
            assert found is not None
            os.chmod(place, _with_bit(stat.S_IMODE(found.st_mode), step.after.executable, self._umask))

    def _remove(self, place: str, before: Entry | None) -> None:
        _clear(place, before)
        folder = os.path.dirname(place)
        while folder != self.root:
            try:
                os.rmdir(folder)
            except OSError:
                return  # something is in it
            folder = os.path.dirname(folder)
            self._touched.add(folder)

    def _link(self, place: str, step: Step) -> None:
        assert step.after is not None
        reason = unfit_target(step.path, step.after.mark)
        if reason:
            raise Unfit(reason)
        _clear(place, step.before)
        os.symlink(step.after.mark, place)


def _folder_of(place: str) -> str:
    """The folder of what `place_of` found; os.path.dirname takes five times as long."""
    return place.rpartition(os.sep)[0]


def _drop(waiting: _Waiting) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(waiting.temporary)


def _write(handle: int, data: bytes) -> None:
    """All of `data`: one call may take less where the disk is nearly full."""
    while (written := os.write(handle, data)) < len(data):
        data = data[written:]


def check(place: str, before: Entry | None, bits: bool = True) -> os.stat_result | None:
    """What lies at `place`, if it is still what `before` says; of modes only where there are `bits`. Raises Unfit."""
    found = look(place)
    if before is None and found is not None and stat.S_ISDIR(found.st_mode):
        raise Unfit(f"{UNWRITABLE}: a folder is in its place, with files that are not synced or are new")
    if (found is None) != (before is None):
        raise Unfit(CHANGED)
    if found is not None and before is not None and not _same(place, found, before, bits):
        raise Unfit(CHANGED)
    return found


def _same(place: str, found: os.stat_result, before: Entry, bits: bool) -> bool:
    if before.kind == "folder":
        return stat.S_ISDIR(found.st_mode)
    if before.kind == "link":
        return stat.S_ISLNK(found.st_mode) and os.readlink(place) == before.mark
    if not stat.S_ISREG(found.st_mode) or (found.st_size, found.st_mtime_ns) != (before.size, before.mtime_ns):
        return False
    if bits and bool(found.st_mode & 0o100) != before.executable:
        return False
    fresh = max(found.st_mtime_ns, found.st_ctime_ns) > time.time_ns() - _FRESH
    return not fresh or digest_of(place) == before.mark


def _clear(place: str, before: Entry | None) -> None:
    """Free the place of what `before` says is there."""
    if before is None:
        return
    if before.kind != "folder":
        os.unlink(place)
        return
    try:
        os.rmdir(place)
    except OSError as error:
        # An empty folder that is no longer empty is no longer ours to remove: what is in it is an entry itself.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _with_bit(mode: int, executable: bool, umask: int) -> int:
    return mode | (0o111 & ~umask) if executable else mode & ~0o111


def _reason(error: OSError) -> str:
    if error.errno in FULL_DISK:
        return FULL
    if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR, errno.ENOTDIR, errno.ENOENT):
        return CHANGED
    return f"{UNWRITABLE}: {error.strerror}"


def _umask() -> int:
    """This process's umask, which can only be read by setting it."""
    found = os.umask(0o077)
    os.umask(found)
    return found
