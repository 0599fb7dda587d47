"""Edits, cuts and syncs of both sides in any order, against a model of a few lines."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from pair import new_pair, tree
from turmoil import CutOff

from colab_remote.errors import ColabRemoteError

NAMES = ["a", "b", "c", "d/e", "d/f"]
SIDES = st.sampled_from(["here", "there"])
PATHS = st.sampled_from(NAMES)
Both = tuple[object, object]


class AnyOrder(RuleBasedStateMachine):
    """`agreed` is what both sides may last have had of each path: a cut may hide whether a sync has seen it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.pair = new_pair(Path(self.folder.name))
        self.agreed: dict[str, list[object]] = {path: [None] for path in NAMES}
        self.version = 0
        self.sync()

    def teardown(self) -> None:
        self.folder.cleanup()

    def side(self, name: str) -> Path:
        found: Path = getattr(self.pair, name)
        return found

    @rule(side=SIDES, path=PATHS, large=st.booleans())
    def edit(self, side: str, path: str, large: bool) -> None:
        self.version += 1
        self.remove(side, path)
        self.pair.write(self.side(side), path, f"{self.version} " * (40_000 if large else 1))

    @rule(side=SIDES, path=PATHS, goal=PATHS)
    def link(self, side: str, path: str, goal: str) -> None:
        self.remove(side, path)
        (self.side(side) / path).parent.mkdir(exist_ok=True)
        (self.side(side) / path).symlink_to(os.path.relpath(goal, os.path.dirname(path) or "."))

    @rule(side=SIDES, path=PATHS)
    def remove(self, side: str, path: str) -> None:
        (self.side(side) / path).unlink(missing_ok=True)

    @rule(side=SIDES, path=PATHS, new=PATHS)
    def rename(self, side: str, path: str, new: str) -> None:
        if os.path.lexists(self.side(side) / path) and not (self.side(side) / path).is_symlink():
            (self.side(side) / new).parent.mkdir(exist_ok=True)
            os.replace(self.side(side) / path, self.side(side) / new)

    @rule(side=SIDES, path=PATHS)
    def mode(self, side: str, path: str) -> None:
        place = self.side(side) / path
        if place.exists() and not place.is_symlink():
            place.chmod(place.stat().st_mode ^ 0o111)

    @rule(source=SIDES, path=PATHS)
    def same_edit(self, source: str, path: str) -> None:
        for side in ("here", "there"):
            self.remove(side, path)
            self.pair.write(self.side(side), path, f"same {self.version}")

    @rule(budget=st.integers(200, 300_000))
    def cut(self, budget: int) -> None:
        before = self.both()
        with contextlib.suppress(ColabRemoteError):
            self.pair.sync(through=lambda stream: CutOff(stream, budget))
        for path, (here, there) in self.both().items():
            was = before.get(path, (None, None))
            ends = [outcome(agreed, *was) for agreed in self.agreed[path]]
            assert here in (was[0], *(end[0] for end in ends)), path
            assert there in (was[1], *(end[1] for end in ends)), path
            if was[0] == was[1]:
                self.agreed[path].append(here)
            elif here == there:
                self.agreed[path] = [here]

    @rule()
    def sync(self) -> None:
        before = self.both()
        report = self.pair.sync()
        assert not report.problems
        after = self.both()
        assert {conflict.path for conflict in report.conflicts} == {path for path in after if len(set(after[path])) > 1}
        for path, now in after.items():
            assert now in [outcome(agreed, *before.get(path, (None, None))) for agreed in self.agreed[path]], path
            if now[0] == now[1]:
                self.agreed[path] = [now[0]]

    def both(self) -> dict[str, Both]:
        """What each path is here and there."""
        here, there = tree(self.pair.here), tree(self.pair.there)
        return {path: (here.get(path), there.get(path)) for path in self.agreed}


def outcome(agreed: object, here: object, there: object) -> Both:
    """What a path is to be on both sides after a sync."""
    if here == agreed:
        return there, there
    return (here, here) if there in (agreed, here) else (here, there)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=8, stateful_step_count=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
