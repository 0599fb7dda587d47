"""What of two scans takes part in a sync."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from colab_remote.both.ignore import SUSPECTS, Ignore
from colab_remote.both.place import unfit
from colab_remote.both.scan import Listing
from colab_remote.laptop.project import Project
from colab_remote.laptop.sync.reconcile import Content


@dataclass(frozen=True, slots=True)
class Scope:
    """What stays out: problems by path, and what was agreed on about paths that cannot be looked at now."""

    problems: dict[str, str]
    kept: dict[str, Content]


def narrow(project: Project, ancestor: dict[str, Content], here: Listing, there: Listing) -> Scope:
    """Take out of all three what does not take part.

    What one side ignores is out for both, and forgotten: a new rule must not look like a deletion. What cannot be
    synced is left as it is, and what was agreed on about it is remembered.
    """
    problems = {**_unfit(there), **there.problems, **here.problems}
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
