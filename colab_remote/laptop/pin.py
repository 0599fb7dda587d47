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
_PATIENCE = 5.0  # seconds for git, which may wait for a disk


@dataclass(frozen=True, slots=True)
class Pin:
    """`facts` for a job's record: `tree`, the digest of what was synced, and where the project is a git repository its
    `commit` and the digest of its `diff`; and the diff itself, up to the limit."""

    facts: dict[str, str]
    diff: bytes = b""

    def keep(self, folder: Path) -> None:
        """Write the diff, where there is one, into the job's folder at home, its last line saying what was cut."""
        cut = f"\n[cut: only the first {LIMIT} bytes of this diff are kept]\n".encode()
        if self.diff:
            write_whole(folder / DIFF, self.diff[:LIMIT] + (cut if len(self.diff) > LIMIT else b""))


def pin_of(root: Path, tree: str) -> Pin:
    """What the project in `root` is, whose files have the digest `tree`."""
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD").decode().strip() if (root / ".git").exists() else ""
    if not commit:
        return Pin({"tree": tree})
    diff = _diff(root)
    digest = {"diff": hashlib.blake2b(diff, digest_size=8).hexdigest()} if diff else {}
    return Pin({"tree": tree, "commit": commit, **digest}, diff)


def _diff(root: Path) -> bytes:
    """What tracked files have over the commit, with none of the programs run that a repository's settings may name."""
    found = _git(root, "config", "--name-only", "--get-regexp", r"^filter\..*\.(clean|process|required)$").decode()
    if "=" in found:
        return b""  # no command line could switch that one off
    off = [f"{name}={'false' if name.endswith('.required') else ''}" for name in found.splitlines()]
    settings = [word for each in ("core.fsmonitor=false", *off) for word in ("-c", each)]
    return _git(root, *settings, "diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all", "HEAD", "--", ".")


def _git(root: Path, *words: str) -> bytes:
    """What git says, a little more than the limit at most; nothing where it fails or takes too long."""
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
        return b""
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
    return said if code == 0 or more else b""
