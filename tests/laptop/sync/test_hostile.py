"""A runtime that lies: nothing it says makes the laptop write outside the project, into ours or git's, or run out."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pair import Pair, new_pair, tree
from sides import Loopback

from colab_remote.agent.serve import Call, Method, Wire, serve
from colab_remote.both.digest import Digest
from colab_remote.both.place import unfit, unfit_target
from colab_remote.errors import ColabRemoteError
from colab_remote.laptop.conversation import Conversation
from colab_remote.laptop.project import load_project
from colab_remote.laptop.sync import Report, synchronize

EVIL = b"evil"
DIGEST = Digest(EVIL).hexdigest()


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return new_pair(tmp_path)


def a_file(size: int = len(EVIL)) -> list[Any]:
    return ["file", size, 10**18, False, DIGEST]


@dataclass
class Liar:
    """An agent whose listing and records are made up. `records` makes the answer to what the laptop asks for."""

    entries: list[list[Any]]
    records: Callable[[list[Any]], bytes] = lambda asked: json.dumps([*asked[:4], len(EVIL)]).encode() + b"\n" + EVIL
    rules: dict[str, str] = field(default_factory=dict)
    mark: dict[str, Any] = field(default_factory=dict)

    def look(self, call: Call) -> dict[str, Any]:
        call.send([json.dumps([{}, self.rules]).encode() + b"\n"])
        for start in range(0, len(self.entries), 1000):
            call.send([json.dumps(self.entries[start : start + 1000]).encode() + b"\n"])
        return {"mark": self.mark, "occupied": False, "free": 1 << 60}

    def take(self, call: Call) -> dict[str, Any]:
        for _ in call.body():
            pass
        call.send([b"{}"])
        return {}

    def give(self, call: Call) -> dict[str, Any]:
        asked = [json.loads(line) for line in b"".join(call.body()).splitlines()]
        call.send([self.records(line) for line in asked])
        return {}

    @contextmanager
    def talking(self) -> Iterator[Conversation]:
        ours, its = socket.socketpair()
        methods: dict[str, Method] = {"files_look": self.look, "files_take": self.take, "files_give": self.give}

        def lie() -> None:
            with contextlib.suppress(OSError):  # the laptop hangs up on liars
                serve(Wire(its.fileno(), its.fileno()), "liar", lambda: methods)

        thread = threading.Thread(target=lie)
        thread.start()
        try:
            while ours.recv(1) != b"\n":
                pass
            yield Conversation(ours, Loopback("colab"))
        finally:
            ours.close()
            thread.join(20)
            its.close()

    def sync(self, pair: Pair) -> Report:
        with self.talking() as conversation:
            return synchronize(load_project(pair.here), conversation, str(pair.workdir), "colab")


def everything(pair: Pair, root: Path) -> dict[str, object]:
    """All that is in `root`, but for what a sync itself keeps."""
    load_project(pair.here)
    kept = tuple(f"here/digits/.colab-remote/{name}" for name in ("lock", "digests", "state"))
    return {name: found for name, found in tree(root).items() if not name.startswith(kept)}


BAD_PATHS = [
    "/etc/evil",
    "../evil",
    "a/../../evil",
    "a/./evil",
    "a//evil",
    "",
    ".",
    "nul\0byte",
    ".git/hooks/post-checkout",
    "sub/.git/config",
    ".GIT/config",
    ".git./config",
    "GIT~1/config",
    ".colab-remote/project.json",
    "sub/.Colab-Remote/x",
    ".colab-remote-partial-x",
    "x" * 5000,
    "lone \ud800 half",
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=repr)
def test_a_path_that_no_file_may_have_is_named_and_left(pair: Pair, tmp_path: Path, path: str) -> None:
    before = everything(pair, tmp_path)
    report = Liar([[path, *a_file()], ["fine", *a_file()]]).sync(pair)
    assert path in report.problems
    assert (pair.here / "fine").read_bytes() == EVIL
    (pair.here / "fine").unlink()
    assert everything(pair, tmp_path) == before


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "..", "../x", "sub/../../x", "a/..", "x/../y", "", "a\0b", "C:\\x", "\\\\host\\x", ".\\..\\x"],
)
def test_a_link_that_may_lead_out_is_not_made(pair: Pair, target: str) -> None:
    def records(asked: list[Any]) -> bytes:
        return json.dumps([*asked[:4], 0]).encode() + b"\n"

    report = Liar([["link", "link", 0, 0, False, target]], records).sync(pair)
    assert "link" in report.problems
    assert not os.path.lexists(pair.here / "link")


def test_a_file_below_a_link_of_its_own_is_refused(pair: Pair) -> None:
    (pair.here / "sub").mkdir()
    entries = [["l", "link", 0, 0, False, "sub"], ["l/evil", *a_file()]]
    Liar(
        entries,
        lambda asked: (
            json.dumps([*asked[:4], 4 if asked[3][0] == "file" else 0]).encode()
            + b"\n"
            + (EVIL if asked[3][0] == "file" else b"")
        ),
    ).sync(pair)
    assert not (pair.here / "sub" / "evil").exists()


@pytest.mark.parametrize(
    "record",
    [
        ["set", "../evil", None, a_file(), 4],
        ["set", "unasked", None, a_file(), 4],
        ["set", "colab-remote.toml", ["file", 0, 0, False, ""], a_file(), 4],
        ["set", "asked", None, None, 0],
        ["set", "asked", None, a_file(10**18), 10**18],
        ["set", "asked", None, a_file(), -1],
        ["set", "asked", None, a_file(), "x"],
        ["set", "asked", None, ["device", 4, 0, False, ""], 4],
        ["patch", "asked", None, a_file(), 3],
        ["patch", "asked", a_file(1 << 20), a_file(1 << 20), 20],
        ["run", "asked", "rm -rf ~"],
        [],
        {},
        None,
    ],
    ids=repr,
)
def test_a_record_that_nobody_asked_for_ends_the_sync(pair: Pair, tmp_path: Path, record: object) -> None:
    before = everything(pair, tmp_path)
    liar = Liar([["asked", *a_file()]], lambda asked: json.dumps(record).encode() + b"\n" + EVIL)
    with pytest.raises(ColabRemoteError, match="nobody asked for"):
        liar.sync(pair)
    assert everything(pair, tmp_path) == before


def test_content_of_another_digest_is_left_alone(pair: Pair) -> None:
    liar = Liar([["f", *a_file()]], lambda asked: json.dumps([*asked[:4], 4]).encode() + b"\nEVIL")
    assert "f" in liar.sync(pair).problems
    assert list(tree(pair.here)) == ["colab-remote.toml"]


def test_a_huge_size_is_refused_before_anything_moves(pair: Pair) -> None:
    with pytest.raises(ColabRemoteError, match="too full"):
        Liar([["huge", *a_file(1 << 62)]]).sync(pair)


def test_a_million_names_are_refused(pair: Pair) -> None:
    with pytest.raises(ColabRemoteError, match="makes no sense"):
        Liar([[f"f{number}", *a_file()] for number in range(300_000)]).sync(pair)


@pytest.mark.parametrize(
    "entry",
    [["f"], ["f", "file"], ["f", "dir", 0, 0, False, ""], ["f", "file", -1, 0, False, ""], ["f", "file", "x", 0, 0, ""],
     ["f", "file", 1 << 70, 0, 0, ""], "f", None, 1],
    ids=repr,
)  # fmt: skip
def test_a_listing_that_makes_no_sense_is_refused(pair: Pair, entry: Any) -> None:
    with pytest.raises(ColabRemoteError, match="makes no sense"):
        Liar([entry]).sync(pair)


@pytest.mark.parametrize(
    "name", ["a:b", "con", "CON.txt", "a\\b", "trail.", "trail ", "lpt1", "a?", 'q"', "a|b", "tab\t"]
)
def test_names_that_windows_cannot_hold_are_named_there(name: str) -> None:
    assert unfit(f"sub/{name}", windows=True)
    assert not unfit(f"sub/{name}", windows=False)


@pytest.mark.parametrize(
    ("path", "target"), [("a", "b"), ("a/b", "../c"), ("a/b/c", "../../d/e"), ("a", "./b"), ("a", "..b"), ("a", "b..")]
)
def test_links_inside_the_project_are_fine(path: str, target: str) -> None:
    assert unfit_target(path, target) == ""


@pytest.mark.parametrize("disk", ["../../../../evil", "x", "", None, 5])
def test_a_mark_with_no_id_for_a_disk_is_refused(pair: Pair, tmp_path: Path, disk: object) -> None:
    before = everything(pair, tmp_path)
    mark = {"project": load_project(pair.here).id, "disk": disk}
    with pytest.raises(ColabRemoteError, match="makes no sense"):
        Liar([["f", *a_file()]], mark=mark).sync(pair)
    assert everything(pair, tmp_path) == before
