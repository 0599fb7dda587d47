"""What of two scans takes part in a sync."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from colab_remote.both.ignore import SUSPECTS, Ignore
from colab_remote.both.place import unfit
from colab_remote.both.scan import Entry, Listing
from colab_remote.laptop.project import OURS, Project
from colab_remote.laptop.sync.reconcile import Content


class Scope(NamedTuple):
    """What stays out: problems by path, and what was agreed on about paths that cannot be looked at now."""

    problems: dict[str, str]
    kept: dict[str, Content]


def narrow(project: Project, ancestor: dict[str, Content], here: Listing, there: Listing) -> Scope:
    """Take out of all three what does not take part.

    What one side ignores is out for both, and forgotten: a new rule must not look like a deletion. What cannot be
    synced is left as it is, and what was agreed on about it is remembered.
    """
    problems = {**_unfit(there), **there.problems, **here.problems}
    if (project.root / OURS.upper()).exists():
        problems |= doubled(here.entries, there.entries)
    for path in _ignored(project, here, there, ancestor):
        for entries in (here.entries, there.entries, ancestor):
            entries.pop(path, None)
    kept = {}
    if problems:
        for path in here.entries.keys() | there.entries.keys() | ancestor.keys():
            if any(folder in problems for folder in _upwards(path)):
                here.entries.pop(path, None)
                there.entries.pop(path, None)
                if path in ancestor:
                    kept[path] = ancestor.pop(path)
    return Scope(problems, kept)


def doubled(here: Iterable[str], there: Iterable[str]) -> dict[str, str]:
    """Paths of the runtime that a laptop whose disk takes `a` and `A` for the same cannot hold beside others."""
    common = set(here) & set(there)
    spelled: dict[str, str] = {}
    problems = {}
    for path in (*sorted(common), *sorted(set(there) - common)):
        for part in _upwards(path):
            first = spelled.setdefault(part.casefold(), part)
            if first != part:
                problems[path] = f"differs only by case from `{first}`, and the laptop's disk holds one of them"
    return problems


def keeps_bits(file: Path) -> bool:
    """Whether the disk of `file`, which is ours, knows executable files: that of Windows does not."""
    seen = []
    for mode in (0o700, 0o600):
        with contextlib.suppress(PermissionError):
            os.chmod(file, mode)
        seen.append(bool(os.stat(file).st_mode & 0o100))
    return seen == [True, False]


def lend_bits(root: Path, here: dict[str, Entry], ancestor: Mapping[str, Content], there: Mapping[str, Entry]) -> None:
    """Give the files of a laptop without executable bits those of the runtime, and new ones theirs by `#!`."""
    for path, entry in here.items():
        if entry.kind == "file":
            known = there.get(path) or ancestor.get(path)
            executable = known.executable if known and known.kind == "file" else _is_script(root / path)
            here[path] = entry._replace(executable=executable)


def _is_script(file: Path) -> bool:
    try:
        with open(file, "rb") as opened:
            return opened.read(2) == b"#!"
    except OSError:
        return False  # it is gone again, which the transfer notices


def ignored_here(project: Project, listing: Listing) -> dict[str, str]:
    """What is not synced of the project by a rule, and the rule: `.gitignore:3:*.log`. Folders end in `/`."""
    ignore = Ignore(project.exclude, project.outputs)
    for folder, text in listing.rules.items():
        ignore.add(folder, text)
    found: dict[str, str] = {}
    for place, folders, files in os.walk(project.root):
        path = Path(place).relative_to(project.root).as_posix()
        prefix = "" if path == "." else f"{path}/"
        why = {name: ignore.why(prefix + name, name in folders) for name in (*folders, *files)}
        found |= {prefix + name + "/" * (name in folders): reason for name, reason in why.items() if reason}
        folders[:] = [name for name in folders if not why[name]]
    return dict(sorted(found.items()))


def _unfit(there: Listing) -> dict[str, str]:
    reasons = ((path, unfit(path)) for path in there.entries)
    return {path: reason for path, reason in reasons if reason}


def _ignored(project: Project, here: Listing, there: Listing, ancestor: dict[str, Content]) -> set[str]:
    """Paths that one side's rules leave out and the other's do not.

    What was agreed on is compared with all rules of both, the rest with what somebody wrote down: a usual suspect
    that one side admits by a new rule is to travel.
    """
    if here.rules == there.rules:
        return set()
    entries = {**here.entries, **there.entries}
    unsure = here.entries.keys() ^ there.entries.keys()
    out = set()
    for suspects, paths in ((SUSPECTS, unsure & ancestor.keys()), ((), unsure - ancestor.keys())):
        for listing in (here, there):
            ignore = Ignore(project.exclude, project.outputs, suspects)
            for folder, text in listing.rules.items():
                ignore.add(folder, text)
            out |= {path for path in paths if ignore.ignores(path, entries[path].kind == "folder")}
    return out


def _upwards(path: str) -> Iterator[str]:
    """The path, and the folders that it lies in."""
    while path:
        yield path
        path = path.rpartition("/")[0]
