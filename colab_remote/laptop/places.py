"""Where this laptop keeps our things."""

from __future__ import annotations

import os
from pathlib import Path


def ours() -> Path:
    """The folder of the generated config, the key, the pinned keys and the hosts: absolute, not yet made."""
    moved = os.environ.get("COLAB_REMOTE_HOME")
    return Path(moved).absolute() if moved else ssh_folder() / "colab-remote"


def ssh_folder() -> Path:
    """`~/.ssh`, as HOME (on Windows USERPROFILE) says."""
    return Path.home().absolute() / ".ssh"


def records() -> Path:
    """The folder of what is kept but not configured, such as jobs' records and logs: absolute, not yet made."""
    from platformdirs import user_state_path

    moved = os.environ.get("COLAB_REMOTE_HOME")
    return Path(moved).absolute() / "records" if moved else user_state_path("colab-remote", appauthor=False)


def make_private(folder: Path) -> Path:
    """`folder`, made with all above it where it is missing, for its owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
