"""reconcile: one table of three states and what follows, and what holds for every three states."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colab_remote.both.scan import Entry
from colab_remote.laptop.sync.reconcile import Content, Plan, content, lost_most, reconcile

SAMPLES = {
    "A": Entry("file", 1, 1, False, "a"),
    "B": Entry("file", 1, 1, False, "b"),
    "C": Entry("file", 1, 1, False, "c"),
    "X": Entry("file", 1, 1, True, "a"),  # A, executable
    "L": Entry("link", 0, 0, False, "a"),
    "/": Entry("folder", 0, 0, False, ""),
}


def side(text: str) -> dict[str, Entry]:
    """`f=A g=B`: entries by path."""
    return {path: SAMPLES[kind] for path, kind in (word.split("=") for word in text.split())}


def agreed(text: str) -> dict[str, Content]:
    return {path: Content(entry.kind, entry.executable, entry.mark) for path, entry in side(text).items()}


# name, ancestor, laptop, runtime -> what goes up, what comes down, conflicts
TABLE = [
    ("nothing changed", "f=A", "f=A", "f=A", "", "", ""),
    ("first push", "", "f=A g/h=B", "", "f g/h", "", ""),
    ("first pull", "", "", "f=A", "", "f", ""),
    ("edit here", "f=A", "f=B", "f=A", "f", "", ""),
    ("edit there", "f=A", "f=A", "f=B", "", "f", ""),
    ("the same edit on both", "f=A", "f=B", "f=B", "", "", ""),
    ("the same new file on both", "", "f=B", "f=B", "", "", ""),
    ("other edits on both", "f=A", "f=B", "f=C", "", "", "f"),
    ("other new files on both", "", "f=B", "f=C", "", "", "f"),
    ("deleted here", "f=A g=A", "g=A", "f=A g=A", "f", "", ""),
    ("deleted there", "f=A g=A", "f=A g=A", "g=A", "", "f", ""),
    ("deleted on both", "f=A g=A", "g=A", "g=A", "", "", ""),
    ("deleted here, edited there", "f=A g=A", "g=A", "f=B g=A", "", "", "f"),
    ("edited here, deleted there", "f=A g=A", "f=B g=A", "g=A", "", "", "f"),
    ("mode here", "f=A", "f=X", "f=A", "f", "", ""),
    ("mode here, content there", "f=A", "f=X", "f=B", "", "", "f"),
    ("mode on both", "f=A", "f=X", "f=X", "", "", ""),
    ("file becomes link here", "f=A", "f=L", "f=A", "f", "", ""),
    ("file becomes link here, edited there", "f=A", "f=L", "f=B", "", "", "f"),
    ("file becomes folder here", "f=A", "f/g=B", "f=A", "f f/g", "", ""),
    ("file becomes folder here, edited there", "f=A", "f/g=B", "f=C", "", "", "f f/g"),
    ("folder becomes file there", "f/g=A f/h=A", "f/g=A f/h=A", "f=B", "", "f f/g f/h", ""),
    ("folder becomes file there, edited here", "f/g=A f/h=A", "f/g=B f/h=A", "f=B", "", "f/h", "f f/g"),
    ("new file against new folder", "", "f=A", "f/g=A", "", "", "f f/g"),
    ("new file against new deep folder", "", "f=A h=A", "f/g/h/i=A", "h", "", "f f/g/h/i"),
    ("new link against new folder", "", "f=L", "f/g=A", "", "", "f f/g"),
    ("folder against a file in it", "", "f=/", "f/g=A", "f", "f/g", ""),
    ("an empty folder is filled there", "f=/", "f=/", "f/g=A", "", "f f/g", ""),
    ("an empty folder is filled on both", "f=/", "f/h=A", "f/g=A", "f/h", "f/g", ""),
    ("renamed here", "f=A g=A", "f2=A g=A", "f=A g=A", "f f2", "", ""),
    ("renamed here, edited there", "f=A g=A", "f2=A g=A", "f=B g=A", "f2", "", "f"),
    ("rename chain", "a=A b=B", "b=A c=B", "a=A b=B", "a b c", "", ""),
    ("swap", "a=A b=B", "a=B b=A", "a=A b=B", "a b", "", ""),
    ("swap here, edit there", "a=A b=B", "a=B b=A", "a=C b=B", "b", "", "a"),
    ("case-only rename", "Foo=A g=A", "foo=A g=A", "Foo=A g=A", "Foo foo", "", ""),
    ("edits of different files", "f=A g=A", "f=B g=A", "f=A g=B", "f", "g", ""),
]


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_table(row: tuple[str, ...]) -> None:
    _, ancestor, local, remote, up, down, conflicts = row
    plan = reconcile(agreed(ancestor), side(local), side(remote))
    assert [step.path for step in plan.up] == up.split()
    assert [step.path for step in plan.down] == down.split()
    assert [conflict.path for conflict in plan.conflicts] == conflicts.split()


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_table_mirrored(row: tuple[str, ...]) -> None:
    _, ancestor, local, remote, up, down, conflicts = row
    if row[0] == "folder against a file in it":
        pytest.skip("the empty folder is made where it is not, which mirrors itself")
    plan = reconcile(agreed(ancestor), side(remote), side(local))
    assert [step.path for step in plan.down] == up.split()
    assert [step.path for step in plan.up] == down.split()
    assert [conflict.path for conflict in plan.conflicts] == conflicts.split()


def many(count: int, prefix: str = "f") -> str:
    return " ".join(f"{prefix}{number}=A" for number in range(count))


@pytest.mark.parametrize(
    ("ancestor", "tree", "lost"),
    [
        (many(2), "", True),
        (many(1), "", False),
        (many(10), many(5), False),
        (many(10), many(4), False),  # all of one content, which is still there
        (many(9) + " g=B", many(9), False),
        (many(2), "g=B", False),
        ("", many(3), False),
        (many(6) + " .hidden=B", ".hidden=B", True),
        (many(1) + " .hidden=B", ".hidden=B", False),
        (many(6) + " .hidden=B", ".hidden=B .old/f=A", False),
        (".a=A .b=B", ".a=A", False),
    ],
)
def test_lost_most(ancestor: str, tree: str, lost: bool) -> None:
    assert lost_most(agreed(ancestor), side(tree), side(ancestor)) is lost


@pytest.mark.parametrize(
    ("local", "remote", "lost"),
    [
        (range(2), range(2), ()),  # a new rule, or the same deleted on both
        (range(0), range(0), ()),
        (range(0), range(18), ("local",)),
        (range(2), range(18), ("local",)),
        (range(18), range(8), ("remote",)),
        (range(12), range(10), ()),
        (range(5), range(5, 10), ("local", "remote")),  # each would delete what the other still has
        (range(0), range(1), ("local",)),
    ],
)
def test_what_neither_side_has_is_not_lost(local: range, remote: range, lost: tuple[str, ...]) -> None:
    entries = {f"f{number}": Entry("file", 1, 1, False, str(number)) for number in range(20)}
    ancestor = {path: Content("file", False, entry.mark) for path, entry in entries.items()}
    here, there = ({f"f{number}": entries[f"f{number}"] for number in numbers} for numbers in (local, remote))
    assert reconcile(ancestor, here, there).lost == lost


def test_ten_that_were_agreed_on_are_ten_though_the_other_side_deleted_one() -> None:
    entries = {f"f{number}": Entry("file", 1, 1, False, str(number)) for number in range(10)}
    ancestor = {path: Content("file", False, entry.mark) for path, entry in entries.items()}
    some, most = dict(list(entries.items())[:2]), dict(list(entries.items())[:9])
    assert reconcile(ancestor, some, most).lost == ("local",)


def test_more_than_half_of_ten_lost_needs_a_decision() -> None:
    entries = {f"f{number}": Entry("file", 1, 1, False, str(number)) for number in range(10)}
    ancestor = {path: Content("file", False, entry.mark) for path, entry in entries.items()}
    some = dict(list(entries.items())[:4])
    assert reconcile(ancestor, some, entries).lost == ("local",)
    assert reconcile(ancestor, entries, some).lost == ("remote",)
    assert reconcile(ancestor, dict(list(entries.items())[:5]), entries).lost == ()
    kept = reconcile(ancestor, some, entries, "remote")
    assert (len(kept.down), len(kept.up), kept.lost) == (6, 0, ())
    gone = reconcile(ancestor, some, entries, "local")
    assert (len(gone.down), len(gone.up), gone.lost) == (0, 6, ())


def test_moved_files_are_not_lost() -> None:
    entries = {f"f{number}": Entry("file", 1, 1, False, str(number)) for number in range(10)}
    ancestor = {path: Content("file", False, entry.mark) for path, entry in entries.items()}
    assert not lost_most(ancestor, {f"moved/{path}": entry for path, entry in entries.items()}, entries)


PATHS = ["a", "b", "a/b", "a/c", "a/b/c"]


def valid(tree: dict[str, Entry]) -> dict[str, Entry]:
    """The tree without what lies below another of its entries."""
    return {path: entry for path, entry in tree.items() if not any(path.startswith(f"{other}/") for other in tree)}


trees = st.dictionaries(st.sampled_from(PATHS), st.sampled_from(list(SAMPLES.values()))).map(valid)
preferences = st.sampled_from([None, "local", "remote"])


def carried_out(plan: Plan, tree: dict[str, Entry], steps: str) -> dict[str, Entry]:
    """`tree` after the plan's steps, as apply makes them: deletions first. Fails where one finds no place."""
    result = dict(tree)
    chosen = getattr(plan, steps)
    for step in chosen:
        assert result.get(step.path) == step.before
        result.pop(step.path, None)
    for step in chosen:
        if step.after is not None:
            result[step.path] = step.after
    folders = {path for path, entry in result.items() if entry.kind == "folder"}
    filled = {path for path in folders if any(other.startswith(f"{path}/") for other in result)}
    result = {path: entry for path, entry in result.items() if path not in filled}
    assert valid(result) == result
    return result


@given(trees, trees, trees, preferences)
def test_every_plan_can_be_carried_out_and_loses_no_edit(
    ancestor: dict[str, Entry], local: dict[str, Entry], remote: dict[str, Entry], prefer: object
) -> None:
    base = {path: Content(entry.kind, entry.executable, entry.mark) for path, entry in ancestor.items()}
    plan = reconcile(base, local, remote, prefer)  # type: ignore[arg-type]
    carried_out(plan, remote, "up")
    carried_out(plan, local, "down")
    if prefer is None:
        # Only what is as it was agreed on last is ever replaced.
        for step in (*plan.up, *plan.down):
            assert content(step.before) == base.get(step.path)


@given(trees, trees, trees, preferences)
def test_both_sides_are_equal_afterwards_but_for_conflicts_and_a_second_time_nothing_is_left(
    ancestor: dict[str, Entry], local: dict[str, Entry], remote: dict[str, Entry], prefer: object
) -> None:
    base = {path: Content(entry.kind, entry.executable, entry.mark) for path, entry in ancestor.items()}
    plan = reconcile(base, local, remote, prefer)  # type: ignore[arg-type]
    here, there = carried_out(plan, local, "down"), carried_out(plan, remote, "up")
    conflicts = {conflict.path for conflict in plan.conflicts}
    assert not (prefer and conflicts)
    folders = {path for path, entry in {**here, **there, **local, **remote}.items() if entry.kind == "folder"}
    for path in (here.keys() | there.keys()) - conflicts - folders:
        assert content(here.get(path)) == content(there.get(path))


@given(trees, trees)
def test_an_empty_ancestor_deletes_nothing(local: dict[str, Entry], remote: dict[str, Entry]) -> None:
    plan = reconcile({}, local, remote)
    assert all(step.after is not None for step in (*plan.up, *plan.down))
