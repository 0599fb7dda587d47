"""What has to change on either side. Pure: three states in, a plan out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from colab_remote.both.records import Step
from colab_remote.both.scan import Entry

Side = Literal["local", "remote"]
Way = Literal["same", "up", "down", "conflict"]
_MANY = 10  # files of which more than half are gone from one side: more likely lost than deleted


class Content(NamedTuple):
    """What of an entry is compared and remembered: a file's mode and digest, a link's target."""

    kind: str
    executable: bool
    mark: str


State = Mapping[str, Content]
Tree = Mapping[str, Entry]


class Conflict(NamedTuple):
    """A path that changed on both sides since the last sync; None is nothing there."""

    path: str
    local: Entry | None
    remote: Entry | None


class Plan(NamedTuple):
    """Steps for each side, conflicts, and the paths about which both sides agree.

    `lost` names the sides that have lost everything, or most of it at once; nothing is to be done then.
    """

    up: tuple[Step, ...]
    down: tuple[Step, ...]
    conflicts: tuple[Conflict, ...]
    same: tuple[str, ...]
    lost: tuple[Side, ...]


def reconcile(ancestor: State, local: Tree, remote: Tree, prefer: Side | None = None) -> Plan:
    """What makes both sides equal, `ancestor` being what they agreed on last.

    A change of one side goes to the other; what changed on both is a conflict unless both made the same change, or
    `prefer` decides. It decides, too, about what a side has lost.
    """
    trees: dict[Side, Tree] = {"local": local, "remote": remote}
    others: dict[Side, Tree] = {"local": remote, "remote": local}
    lost = tuple(side for side, tree in trees.items() if lost_most(ancestor, tree, others[side]))
    ways = {
        path: _way(ancestor.get(path), local.get(path), remote.get(path))
        for path in sorted(ancestor.keys() | local.keys() | remote.keys())
    }
    for side in lost:
        _distrust(ways, ancestor, trees[side])
    _decide(ways, prefer)
    while collisions := _collisions(ways, local, remote):
        for path in collisions:
            ways[path] = "conflict"
        _decide(ways, prefer)
    chosen: dict[Way, list[str]] = {"same": [], "up": [], "down": [], "conflict": []}
    for path, way in ways.items():
        chosen[way].append(path)
    return Plan(
        up=tuple(Step(path, remote.get(path), local.get(path)) for path in chosen["up"]),
        down=tuple(Step(path, local.get(path), remote.get(path)) for path in chosen["down"]),
        conflicts=tuple(Conflict(path, local.get(path), remote.get(path)) for path in chosen["conflict"]),
        same=tuple(chosen["same"]),
        lost=() if prefer else lost,
    )


def content(entry: Entry | None) -> Content | None:
    """What is compared of `entry`."""
    return None if entry is None else Content(entry.kind, entry.executable, entry.mark)


def lost_most(ancestor: State, tree: Tree, other: Tree) -> bool:
    """Whether a side has lost all of its files, or of at least 10 more than half. A moved file is not lost.

    All but hidden ones are all: `rm -rf *` leaves those. What the `other` side does not have either cannot be lost:
    both follow a new rule, or deleted the same.
    """
    files = {path: content for path, content in ancestor.items() if content.kind != "folder"}
    there = {path: entry.mark for path, entry in tree.items() if entry.kind != "folder"}
    marks = set(there.values())
    gone = [path for path, content in files.items() if path not in tree and content.mark not in marks]
    at_stake = [path for path in gone if path in other]
    if not at_stake:
        return False
    # That the other side deleted a few too takes no suspicion away: those count as gone, and among the 10.
    if not any(map(_shows, there)):
        return sum(map(_shows, gone)) > 1 or (not there and len(files) > 1)
    return len(files) >= _MANY and len(at_stake) * 2 > len(files.keys() & other.keys())


def _shows(path: str) -> bool:
    return not path.startswith(".")


def _way(ancestor: Content | None, local: Entry | None, remote: Entry | None) -> Way:
    if local == remote:  # as most are; what follows takes longer
        return "same"
    here, there = content(local), content(remote)
    if here == there:
        return "same"
    if here == ancestor:
        return "down"
    return "up" if there == ancestor else "conflict"


def _distrust(ways: dict[str, Way], ancestor: State, lost: Tree) -> None:
    """What a side has lost is no deletion: somebody has to decide."""
    for path in ancestor:
        if path not in lost and ways[path] != "same":
            ways[path] = "conflict"


def _decide(ways: dict[str, Way], prefer: Side | None) -> None:
    if prefer is None:
        return
    for path, way in ways.items():
        if way == "conflict":
            ways[path] = "up" if prefer == "local" else "down"


def _collisions(ways: Mapping[str, Way], local: Tree, remote: Tree) -> set[str]:
    """Paths of steps that would put something below a file, or a file where a folder is, with what they meet."""
    return _meetings(ways, "up", local, remote) | _meetings(ways, "down", remote, local)


def _meetings(ways: Mapping[str, Way], way: Way, source: Tree, target: Tree) -> set[str]:
    coming = {path for path, chosen in ways.items() if chosen == way and path in source}
    if not coming:
        return set()
    staying = {path for path in target if ways[path] != way}
    files_staying = {path for path in staying if target[path].kind != "folder"}
    files_coming = {path for path in coming if source[path].kind != "folder"}
    found = set()
    for paths, files in ((coming, files_staying), (staying, files_coming)):
        if files:
            found |= {met for path in paths for above in _above(path) if above in files for met in (path, above)}
    return found


def _above(path: str) -> list[str]:
    """The folders that `path` lies in."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]
