"""What a project was when a job began, so that two runs can be told apart."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from colab_remote.both.whole import write_whole

DIFF = "diff"  # a file beside the job's log at home
LIMIT = 1 << 20  # bytes of a diff that are kept
_UNKNOWN = "unknown"  # where git failed: that nothing is said would mean that there is nothing
_PATIENCE = 5.0  # seconds for git, which may wait for a disk


@dataclass(frozen=True, slots=True)
class Pin:
    """`facts` for a job's record: `tree`, the digest of what was synced, and where the project is a git repository its
    `commit` and the digest of its `diff`, `unknown` where git failed; and the diff itself, up to the limit."""

    facts: dict[str, str]
    diff: bytes = b""

    def keep(self, folder: Path) -> None:
        """Write the diff, where there is one, into the job's folder at home, its last line saying what was cut."""
        cut = f"\n[cut: only the first {LIMIT} bytes of this diff are kept]\n".encode()
        if self.diff:
            write_whole(folder / DIFF, self.diff[:LIMIT] + (cut if len(self.diff) > LIMIT else b""))


def pin_of(root: Path, tree: str) -> Pin:
    """What the project in `root` is, whose files have the digest `tree`."""
    if not (root / ".git").exists():
        return Pin({"tree": tree})
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        return Pin({"tree": tree, "commit": _UNKNOWN})
    if not commit:
        return Pin({"tree": tree})
    facts = {"tree": tree, "commit": commit.decode().strip()}
    diff = _diff(root)
    if diff is None:
        return Pin({**facts, "diff": _UNKNOWN})
    return Pin({**facts, "diff": hashlib.blake2b(diff, digest_size=8).hexdigest()} if diff else facts, diff)


def _diff(root: Path) -> bytes | None:
    """What tracked files have over the commit, with none of the programs run that a repository's settings may name."""
    found = _git(root, "config", "--name-only", "--get-regexp", r"^filter\..*\.(clean|process|required)$")
    if found is None or b"=" in found:
        return None  # no command line could switch off one with such a name
    off = [f"{name}={'false' if name.endswith('.required') else ''}" for name in found.decode().splitlines()]
    settings = [word for each in ("core.fsmonitor=false", *off) for word in ("-c", each)]
    return _git(root, *settings, "diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all", "HEAD", "--", ".")


def _git(root: Path, *words: str) -> bytes | None:
    """What git says, a little more than the limit at most; None where it fails or takes too long."""
    # It may fetch nothing, and write nothing.
    env = {**os.environ, "GIT_ALLOW_PROTOCOL": "", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        process = subprocess.Popen(
            ["git", "-C", str(root), *words],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
    with process:
        timer = threading.Timer(_PATIENCE, process.kill)
        timer.start()
        assert process.stdout is not None
        said = process.stdout.read(LIMIT + 1)
        more = len(said) > LIMIT
        if more:
            process.kill()
        code = process.wait()
        timer.cancel()
    return said if code in (0, 1) or more else None  # by 1 it says that there is nothing
