"""What is in a project's folder, found the same way at both ends."""

from __future__ import annotations

import gc
import json
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from colab_remote.both.digest import Digest, digest_of
from colab_remote.both.ignore import IGNORE_FILE, Ignore, ignored
from colab_remote.both.place import open_plain, unfit_target
from colab_remote.both.whole import TEMPORARY

MOST = 250_000  # entries of one side
UNREADABLE = "cannot be read"
CACHE = "digests"  # the file, in a project's own folder at either end, of what its scans learned
_AT_ONCE = 1000  # rows of a listing that are packed together
_FRESH = 2 * 10**9  # nanoseconds in which a file system may not notice a second change


class Entry(NamedTuple):
    """A file, a link or an empty folder.

    `mark` is a file's digest (hex) or a link's target; `mtime_ns` and `size` (bytes) are 0 but for files.
    """

    kind: str  # "file", "link", "folder"
    size: int
    mtime_ns: int
    executable: bool
    mark: str


class Known(NamedTuple):
    """A file's entry, and what else was seen of the file when its digest was taken."""

    entry: Entry
    ctime_ns: int
    inode: int


_RULES = ""  # no file's path: in `known`, a digest of the rules that no `.gitignore` says


@dataclass
class Listing:
    """One side: entries by path; what cannot be synced, with the reason; the text of each folder's `.gitignore`."""

    entries: dict[str, Entry] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python looks again and again through a hundred thousand tuples for cycles that are not there: not meanwhile."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@_no_collection()
def scan(root: str, ignore: Ignore, known: dict[str, Known], sweep: bool = True) -> Listing:
    """What is in `root` and not ignored. `known` saves reading files again, and holds those found when this returns.

    With `sweep`, our own temporary files, left by a process that was killed, are removed on the way.
    """
    walk = _Walk(root, ignore, known, sweep)
    try:
        walk.all(settled=_RULES in known and known[_RULES].entry.mark == ignore.digest)
    except BaseException:
        known.clear()  # what it holds is of two times
        raise
    for path in known.keys() - walk.entries.keys():
        del known[path]
    known[_RULES] = Known(Entry("file", 0, 0, False, ignore.digest), 0, 0)
    return walk.listing


def known_of(rows: dict[str, list[Any]]) -> dict[str, Known]:
    """What a scan learned, as JSON has it; it only saves time, so what makes no sense is nothing."""
    try:
        return {path: Known(_entry(entry), ctime_ns, inode) for path, (entry, ctime_ns, inode) in rows.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def pack_listing(listing: Listing, before: Listing | None = None) -> Iterator[bytes]:
    """A listing as it travels: what makes `before`, which the other end has, into it."""
    had = before.entries if before else {}
    yield json.dumps([listing.problems, listing.rules]).encode("ascii") + b"\n"
    rows: list[tuple[object, ...]] = [(path, None) for path in had.keys() - listing.entries.keys()]
    rows += [(path, *entry) for path, entry in listing.entries.items() if had.get(path) != entry]
    for start in range(0, len(rows), _AT_ONCE):
        yield json.dumps(rows[start : start + _AT_ONCE], separators=(",", ":")).encode("ascii") + b"\n"


def unpack_listing(lines: Iterable[bytes], before: Listing | None = None) -> Listing:
    """The listing that was packed. Raises ValueError for what is none, or has more than MOST entries."""
    rows = iter(lines)
    try:
        problems, rules = json.loads(next(rows))
        listing = Listing(dict(before.entries) if before else {}, _texts(problems), _texts(rules))
        for line in rows:
            for path, *row in json.loads(line):
                if row == [None]:
                    listing.entries.pop(str(path), None)
                else:
                    listing.entries[str(path)] = _entry(row)
            if len(listing.entries) > MOST:
                raise ValueError(f"more than {MOST:,} files")
    except (TypeError, IndexError, StopIteration, RecursionError):
        raise ValueError("no listing") from None
    return listing


def entry_of(row: list[Any] | None) -> Entry | None:
    """The entry in a JSON row, None for none. Raises ValueError."""
    try:
        return None if row is None else _entry(row)
    except (TypeError, IndexError):
        raise ValueError("no entry") from None


def _entry(row: list[Any]) -> Entry:
    kind, size, mtime_ns, executable, mark = row
    if kind not in ("file", "link", "folder") or not 0 <= size < 1 << 63 or abs(mtime_ns) >= 1 << 66:
        raise ValueError("no entry")
    if type(size) is not int or type(mtime_ns) is not int or type(executable) is not bool or type(mark) is not str:
        raise ValueError("no entry")
    return _new(Entry, row)


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("no listing")
    return {str(key): str(text) for key, text in value.items()}


_new = tuple.__new__


class _Walk:
    """One scan under way."""

    def __init__(self, root: str, ignore: Ignore, known: dict[str, Known], sweep: bool) -> None:
        self.root, self.ignore, self.known, self.sweep = root, ignore, known, sweep
        self.listing = Listing()
        self.entries = self.listing.entries
        self.trusted = time.time_ns() - _FRESH

    def all(self, settled: bool) -> None:
        """Take in all folders, each before those in it.

        `settled`: the rules are those under which `known` was learned, so that what is in there is not ignored.
        """
        waiting = [("", settled)]
        while waiting:
            folders, settled = self._folder(*waiting.pop())
            waiting += [(folder, settled) for folder in reversed(folders)]

    def _folder(self, path: str, settled: bool) -> tuple[list[str], bool]:
        """Take in the folder at `path`: the folders in there come back, and whether they are settled too."""
        with ExitStack() as held:
            try:
                place = held.enter_context(_scannable(self._place(path)))
                with os.scandir(place) as found:
                    entries = list(found)
            except FileNotFoundError:
                return [], settled
            except OSError as error:
                self.listing.problems[path] = f"{UNREADABLE}: {error.strerror}"
                return [], settled
            return self._files(path, entries, settled)

    def _files(self, path: str, entries: list[os.DirEntry[str]], settled: bool) -> tuple[list[str], bool]:
        """Take in all but the folders in there, which come back, and whether they are settled too."""
        prefix = f"{path}/" if path else ""
        settled &= self._rules(path, prefix + IGNORE_FILE)
        chain = self.ignore.chain(path)
        if not entries and path:
            self.entries[path] = Entry("folder", 0, 0, False, "")
        folders = []
        known, taken = self.known, self.entries
        for entry in entries:
            below = prefix + entry.name
            if settled and below in known and (was := _unchanged(entry, known[below])):
                taken[below] = was
                continue
            if entry.is_dir(follow_symlinks=False):
                if not ignored(chain, below, entry.name, True):
                    folders.append(below)
            elif (settled and below in known) or not ignored(chain, below, entry.name, False):
                self._leaf(below, entry)
            elif self.sweep and entry.name.startswith(TEMPORARY):
                os.unlink(self._place(below))
        return folders, settled

    def _rules(self, folder: str, path: str) -> bool:
        """Take in the rules of `folder`, which lie at `path` if there are any; whether they are the known ones."""
        place = self._place(path)
        if os.path.islink(place):  # git follows none either
            return path not in self.known
        try:
            with open_plain(place) as file:
                text = file.read()
        except FileNotFoundError:
            return path not in self.known
        except OSError:
            return False  # no plain file, or it cannot be read, which its own entry says
        self.listing.rules[folder] = text.decode("utf-8", "surrogateescape")
        self.ignore.add(folder, self.listing.rules[folder])
        return path in self.known and self.known[path].entry.mark == Digest(text).hexdigest()

    def _leaf(self, path: str, entry: os.DirEntry[str]) -> None:
        try:
            found = entry.stat(follow_symlinks=False)
            if path in self.known and (was := _unchanged(entry, self.known[path])):
                self.entries[path] = was
            elif stat.S_ISREG(found.st_mode):
                self._read(path, found)
            elif stat.S_ISLNK(found.st_mode):
                self._link(path, os.readlink(self._place(path)))
            else:
                self.listing.problems[path] = f"is a {_special(found.st_mode)}, and not synced"
        except FileNotFoundError:
            return
        except OSError as error:
            self.listing.problems[path] = f"{UNREADABLE}: {error.strerror}"

    def _read(self, path: str, found: os.stat_result) -> None:
        facts = (found.st_size, found.st_mtime_ns, found.st_mode & 0o100 != 0)
        entry = self.entries[path] = Entry("file", *facts, digest_of(self._place(path)))
        # A change within the clock's grain of an earlier one leaves no trace in the times.
        if max(found.st_mtime_ns, found.st_ctime_ns) < self.trusted:
            self.known[path] = Known(entry, found.st_ctime_ns, found.st_ino)
        else:
            self.known.pop(path, None)

    def _place(self, path: str) -> str:
        return os.path.join(self.root, path)

    def _link(self, path: str, target: str) -> None:
        reason = unfit_target(path, target)
        if reason:
            self.listing.problems[path] = reason
        else:
            self.entries[path] = Entry("link", 0, 0, False, target)


def _unchanged(entry: os.DirEntry[str], known: Known) -> Entry | None:
    """What is known of a file, None where it is not as it was."""
    was, ctime_ns, inode = known
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    same = ctime_ns == found.st_ctime_ns and was.mtime_ns == found.st_mtime_ns and was.size == found.st_size
    return was if same and inode == found.st_ino else None


@contextmanager
def _scannable(folder: str) -> Iterator[int | str]:
    """The folder as scandir takes it: by a handle, what is in there is looked at without the way to it."""
    if sys.platform == "win32":  # which tells size and times with the names
        yield folder
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)


def _special(mode: int) -> str:
    names = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
    return names.get(stat.S_IFMT(mode), "special file")
