"""What is not synced: `.gitignore` files as git reads them, a project's own patterns, and the usual suspects."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from colab_remote.both.whole import TEMPORARY

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".gitignore"
NEVER = frozenset({".git", ".colab-remote"})
SUSPECTS = (
    "__pycache__/",
    "*.py[co]",
    ".venv*/",
    "venv/",
    "env/",
    "node_modules/",
    ".ipynb_checkpoints/",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".tox/",
    "*.egg-info/",
    ".DS_Store",
    "Thumbs.db",
    ".env",
    "*.pem",
    "id_*",
    "!id_*.pub",
)

# What pathspec (1.0 and later) writes for "this entry, or anything below it", for "a folder" and "at any depth".
_ENTRY = "(?:(?P<ps_d>/)|$)"
_FOLDER = "(?P<ps_d>/)"
_ANYWHERE = "^(?:.+/)?"

_BRACKETS = "\0"  # stands for a bracket expression while pathspec reads the rest: no name has it
# What git reads in brackets: a class, or a character, or two with `-` between; any after a backslash.
_MEMBER = re.compile(r"\[:([^]]*):]|(\\.|[^\\])(?:-(\\.|[^]\\]))?", re.DOTALL)
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\r ",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


def rooted(outputs: Iterable[str]) -> list[str]:
    """A project's outputs as patterns that hold from its folder: sources may have folders of the same name."""
    return [f"/{pattern.lstrip('/')}" for pattern in outputs]


class Line(NamedTuple):
    """One pattern: its number in its file, its text, its regular expression, and whether it ignores or admits."""

    number: int
    text: str
    names: str | None  # for the entry's name alone
    paths: str | None  # for its path
    ignores: bool


class Rules:
    """The patterns of one file; the last one that matches decides, as in git."""

    def __init__(self, source: str, lines: Iterable[str]) -> None:
        self.source = source
        self.lines = [line for line in map(_line, range(1, 1 << 30), lines) if line]
        self._all = _Run(self.lines) if self.lines else None

    @cached_property
    def _runs(self) -> list[_Run]:
        return [_Run(run) for run in _runs(self.lines)]

    def verdict(self, path: str, name: str) -> bool | None:
        """Whether `path` (relative to the rules' folder, a folder's ending in `/`) is ignored; None: not said here.

        `name` is its last part. What lies in an ignored folder is not looked at: the caller does not go there.
        """
        if self._all is None or not self._all.matches(path, name):
            return None  # so it is with most
        return next(run.ignores for run in self._runs if run.matches(path, name))

    def deciding(self, path: str, name: str) -> Line | None:
        """The line that decides about `path`, None where none does."""
        return next((line for line in reversed(self.lines) if _Run([line]).matches(path, name)), None)


class _Run:
    """Neighbouring lines of one meaning, as few regular expressions."""

    def __init__(self, lines: list[Line]) -> None:
        self.ignores = lines[0].ignores
        self._names = _either([line.names for line in lines])
        self._paths = _either([line.paths for line in lines])

    def matches(self, path: str, name: str) -> bool:
        return bool(
            (self._names is not None and self._names.match(name))
            or (self._paths is not None and self._paths.match(path))
        )


class Ignore:
    """All rules of one project at one end; `.gitignore` files are added as they are met.

    `digest` tells the rules that are none of theirs from any others.
    """

    def __init__(self, exclude: Iterable[str], outputs: Iterable[str], suspects: Iterable[str] = SUSPECTS) -> None:
        self._outputs = Rules("outputs", rooted(outputs))
        self._first = Rules("[sync] exclude", exclude)
        self._last = Rules("the usual suspects", suspects)
        said = [rules.lines for rules in (self._outputs, self._first, self._last)]
        self.digest = hashlib.blake2b(repr(said).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        self.files: dict[str, Rules] = {}

    def add(self, folder: str, text: str) -> None:
        """Take in the `.gitignore` of `folder` (relative, empty for the project's root)."""
        where = f"{folder}/{IGNORE_FILE}" if folder else IGNORE_FILE
        # git knows no line end but these two, and skips a byte order mark.
        lines = text[text.startswith("\ufeff") :].replace("\r\n", "\n").split("\n")
        self.files[folder] = Rules(where, lines)

    def chain(self, folder: str) -> list[tuple[int, Rules]]:
        """The rules for entries of `folder`, strongest first, each with how much of a path is before its own."""
        found = [(0, self._outputs), (0, self._first)]
        while folder:
            if folder in self.files:
                found.append((len(folder) + 1, self.files[folder]))
            folder = folder.rpartition("/")[0]
        if "" in self.files:
            found.append((0, self.files[""]))
        return [(start, rules) for start, rules in [*found, (0, self._last)] if rules.lines]

    def ignores(self, path: str, folder: bool = False) -> bool:
        """Whether `path`, or a folder that it lies in, is ignored; `folder` says what it is itself."""
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            ends_in_folder = folder or end < len(parts)
            if ignored(self.chain("/".join(parts[: end - 1])), "/".join(parts[:end]), parts[end - 1], ends_in_folder):
                return True
        return False

    def why(self, path: str, folder: bool = False) -> str:
        """`.gitignore:3:*.log` for what is ignored by a line, a word for what is always, empty for what is not."""
        name = path.rpartition("/")[2]
        if _always(name):
            return "never synced"
        slash = "/" if folder else ""
        for start, rules in self.chain(path.rpartition("/")[0]):
            line = rules.deciding(path[start:] + slash, name + slash)
            if line:
                return f"{rules.source}:{line.number}:{line.text}" if line.ignores else ""
        return ""


def ignored(chain: list[tuple[int, Rules]], path: str, name: str, folder: bool) -> bool:
    """Whether the entry `path` of a folder with that chain of rules is ignored."""
    if _always(name):
        return True
    if folder:
        path, name = f"{path}/", f"{name}/"
    for start, rules in chain:
        verdict = rules.verdict(path[start:], name)
        if verdict is not None:
            return verdict
    return False


def _always(name: str) -> bool:
    return name.startswith(".") and (name.lower() in NEVER or name.startswith(TEMPORARY))


def matcher(patterns: Iterable[str]) -> GitIgnoreSpec:
    """What says whether a path is named by patterns that are written as in .gitignore."""
    from pathspec import GitIgnoreSpec  # here: a job without outputs does not wait for it
    from pathspec.pattern import RegexPattern

    def pattern(text: str) -> RegexPattern:
        read = _read(text)
        return RegexPattern(re.compile(_with_brackets(*read[:2])), read.ignores) if read else RegexPattern(None)

    # By `re`: another engine, which pathspec takes where it is installed, may not know `(?!`.
    return GitIgnoreSpec.from_lines(patterns, pattern, backend="simple")


def _line(number: int, text: str) -> Line | None:
    read = _read(text)
    if read is None:
        return None
    found, brackets, ignores = read
    # pathspec's expressions also match what lies below; here each folder is asked about before it is entered.
    exact = found.replace(_ENTRY, r"/?\Z").replace(_FOLDER, r"/\Z")
    if exact.endswith("/"):
        exact += "."  # `x/**` is everything in x, not x
    if exact == found == ".":
        return Line(number, text, ".", None, ignores)
    if exact == r"/\Z":
        return Line(number, text, r".*/\Z", None, ignores)
    rest = exact[len(_ANYWHERE) :]
    if exact.startswith(_ANYWHERE) and "/" not in rest.replace("[^/]", "").replace(r"/?\Z", "").replace(r"/\Z", ""):
        return Line(number, text, _with_brackets(rest, brackets), None, ignores)
    return Line(number, text, None, _with_brackets(exact, brackets), ignores)


class _Read(NamedTuple):
    """A pattern as pathspec reads it, with _BRACKETS for each bracket expression, what these are, and its meaning."""

    expression: str
    brackets: list[str]
    ignores: bool


def _read(text: str) -> _Read | None:
    """What a pattern says, None for one that matches nothing."""
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern  # here: a sync asks the runtime first

    if text.startswith("#"):
        return None  # a comment, whatever brackets are in it
    try:
        plain, brackets = _without_brackets(text)
        found, ignores = GitIgnoreSpecPattern.pattern_to_regex(plain)
    except (ValueError, KeyError):
        return None  # git takes a pattern that cannot be read for one that matches nothing
    if found is None or ignores is None:
        return None
    assert isinstance(found, str)
    return _Read(found, brackets, ignores)


def _without_brackets(text: str) -> tuple[str, list[str]]:
    """A pattern with _BRACKETS for each bracket expression, which pathspec reads otherwise than git, and what they are.

    Raises ValueError or KeyError where git reads none, so that the pattern matches nothing.
    """
    text = text.partition(_BRACKETS)[0]  # git reads no further either
    plain, brackets, inside, at = "", [], "", 0
    while at < len(text):
        if text[at] == "[":
            expression, end = _bracket(text, at + 1)
            brackets.append(expression)
            plain += _BRACKETS
            inside += text[at:end]
        else:
            end = at + (2 if text[at] == "\\" else 1)
            plain += text[at:end]
        at = end
    if "/" in inside:  # a slash anywhere in a pattern binds it to its folder
        plain = re.sub("^(!?)/?", r"\1/", plain)
    return plain, brackets


def _bracket(text: str, start: int) -> tuple[str, int]:
    """The regular expression of what is in brackets from `start` on, and where they end. They never match `/`."""
    negated = text.startswith(("!", "^"), start)
    first = at = start + negated
    members = ""
    while at == first or not text.startswith("]", at):
        member = _MEMBER.match(text, at)
        if member is None:
            raise ValueError("not closed")
        known, low, high = member.groups()
        if known is None:
            low, high = low[-1], (high or low)[-1]
            members += f"{re.escape(low)}-{re.escape(max(low, high))}"  # of `z-a` git takes the z
        else:
            members += _POSIX[known]
        at = member.end()
    return f"(?!/)[{'^' * negated}{members}]", at + 1


def _with_brackets(expression: str, brackets: list[str]) -> str:
    waiting = iter(brackets)
    return re.sub(_BRACKETS, lambda _: next(waiting), expression)


def _runs(lines: list[Line]) -> list[list[Line]]:
    """Lines grouped by meaning, the last group first."""
    groups: list[list[Line]] = []
    for line in reversed(lines):
        if not groups or groups[-1][0].ignores != line.ignores:
            groups.append([])
        groups[-1].append(line)
    return groups


def _either(expressions: Iterable[str | None]) -> re.Pattern[str] | None:
    found = [f"(?:{expression})" for expression in expressions if expression is not None]
    return re.compile("|".join(found), re.DOTALL) if found else None
