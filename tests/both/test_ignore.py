"""What is ignored: `git check-ignore` is the oracle for .gitignore files."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colab_remote.both.ignore import Ignore
from colab_remote.both.scan import scan

PATHS = [
    "a",
    "a.py",
    "b/a",
    "b/a.py",
    "b/c/a",
    "b/c/x y",
    "b/#x",
    "c/d/e/a.log",
    "c/d/e/f",
    "foo/bar",
    "foo/a.py",
    "new\nline",
    "foo/b/c.log",
    "!x",
    "한글/a",
    "trail ",
    "x/y",
    "xb",
    "A]",
    "m-",
    "z",
    "[x",
    "\\",
]
PATTERNS = [
    "a",
    "*.py",
    "!a.py",
    "/a",
    "b/",
    "!b/",
    "b/c",
    "b/*",
    "!b/c",
    "!b/c/",
    "**/a",
    "c/**",
    "c/**/a.log",
    "!c/d",
    "*",
    "!*/",
    "/*",
    "!/foo",
    "foo/*",
    "!foo/bar",
    "# comment",
    "\\#x",
    "\\!x",
    "",
    "x?y",
    "[a-b]",
    "[!a]",
    "[",
    "a/",
    "new*",
    "*.l[o]g",
    "한*",
    "trail\\ ",
    "trail ",
    "a\r",
    "**",
    "**/",
    "foo/**/c.log",
    "d/",
    "*/d",
    "e",
    "x[!a]",
    "[z-a]",
    "[[]x",
    "[!/]b",
    "![!/]b",
    "foo[/]bar",
    "foo[!a]bar",
    "[[:upper:]]?",
    "[^[:lower:]]",
    "[[:word:]]",
    "[[:alpha:]",
    "[[:]x",
    "[a\\-c]",
    "[]a]",
    "A[]-]",
    "m[a-]",
    "[a-[:x:]]",
    "[\\]]",
    "[\\\\]",
    "#[/]",
    "z\0x",
]
BRACKETS = ["a", "b", "z", "A", "]", "[", "!", "^", "-", "\\", "/", ":", "[:alpha:]", "[:punct:]", "[:x:]", "."]


def git_ignores(root: Path) -> set[str]:
    said = subprocess.run(
        ["git", "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=root,
        input="\0".join(PATHS).encode(),
        capture_output=True,
    )
    return {name.decode() for name in said.stdout.split(b"\0") if name}


def agrees(root: Path, rules: dict[str, list[str]]) -> None:
    for path in PATHS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    for folder, lines in rules.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / ".gitignore").write_bytes("\n".join(lines).encode())
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    listing = scan(str(root), Ignore((), (), ()), {})
    expected = git_ignores(root)
    assert set(PATHS) - listing.entries.keys() == expected
    ignore = Ignore((), (), ())
    for folder, lines in rules.items():
        ignore.add(folder, "\n".join(lines))
    assert {path for path in PATHS if ignore.ignores(path)} == expected


@pytest.mark.parametrize("pattern", PATTERNS)
def test_one_pattern_is_read_as_git_reads_it(tmp_path: Path, pattern: str) -> None:
    agrees(tmp_path, {"": [pattern]})


brackets = st.lists(st.sampled_from(BRACKETS), min_size=1, max_size=6).map("".join)
patterns = st.sampled_from(PATTERNS) | st.builds(
    "{}[{}]{}".format, st.sampled_from(["", "x", "foo", "*"]), brackets, st.sampled_from(["", "/", "b", "bar"])
)
lines = st.lists(patterns, max_size=5)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.fixed_dictionaries({"": lines}, optional={"b": lines, "c/d": lines, "foo": lines}))
def test_nested_files_and_negations_are_read_as_git_reads_them(rules: dict[str, list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        agrees(Path(folder), rules)


def test_exclude_is_stronger_than_gitignore_and_both_than_the_usual_suspects() -> None:
    ignore = Ignore(["data/", "!keep.log"], ["saved/"])
    ignore.add("", "*.log\n!.env\n!saved/\n")
    assert ignore.ignores("data", folder=True)
    assert ignore.ignores("sub/data/x")
    assert not ignore.ignores("data")
    assert not ignore.ignores("keep.log")
    assert ignore.ignores("other.log")
    assert not ignore.ignores(".env")
    assert ignore.ignores("sub/__pycache__/x.pyc")
    assert ignore.ignores("saved/x")
    assert not ignore.ignores("sub/saved/x")


@pytest.mark.parametrize("path", [".git/config", "sub/.git", ".GIT/x", ".colab-remote/disk.json"])
def test_ours_and_gits_are_ignored_whatever_a_rule_says(path: str) -> None:
    ignore = Ignore(["!.git", "!.git/**", "!.colab-remote/**"], ())
    assert ignore.ignores(path)


def test_why_names_the_line() -> None:
    ignore = Ignore(["data/"], ())
    ignore.add("sub", "# logs\n*.log\n")
    assert ignore.why("sub/a.log") == "sub/.gitignore:2:*.log"
    assert ignore.why("data", folder=True) == "[sync] exclude:1:data/"
    assert ignore.why("id_rsa") == "the usual suspects:18:id_*"
    assert ignore.why("a.py") == ""
