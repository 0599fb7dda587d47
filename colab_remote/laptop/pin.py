"""What a project was when a job began, so that two runs can be told apart."""

from __future__ import annotations

import subprocess
from pathlib import Path

_PATIENCE = 5.0  # seconds for git, which may wait for a disk


def pin_of(root: Path, tree: str) -> dict[str, str]:
    """`tree`, the digest of what was synced, and where the project is a git repository its `commit`."""
    commit = _commit(root)
    return {"tree": tree, **({"commit": commit} if commit else {})}


def _commit(root: Path) -> str:
    if not (root / ".git").exists():
        return ""
    try:
        # Only the name: to look for changes, git would run the filters that a repository's own settings name.
        words = ["git", "-C", str(root), "rev-parse", "--verify", "--quiet", "HEAD"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
