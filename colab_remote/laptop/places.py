"""Where this laptop keeps our things."""

from __future__ import annotations

import os
from pathlib import Path


def ours() -> Path:
    """The folder of the generated config, the key, the pinned keys and the hosts: absolute, not yet made."""
    return _moved() or ssh_folder() / "colab-remote"


def ssh_folder() -> Path:
    """`~/.ssh`, as HOME (on Windows USERPROFILE) says."""
    return Path.home().absolute() / ".ssh"


def records() -> Path:
    """The folder of what is kept but not configured, such as jobs' records and logs: absolute, not yet made."""
    from platformdirs import user_state_path

    moved = _moved()
    return moved / "records" if moved else user_state_path("colab-remote", appauthor=False)


def settings_file() -> Path:
    """The user's own `config.toml`, whether there is one or not."""
    from platformdirs import user_config_path

    return (_moved() or user_config_path("colab-remote", appauthor=False)) / "config.toml"


def make_private(folder: Path) -> Path:
    """`folder`, made with all above it where it is missing, for its owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _moved() -> Path | None:
    folder = os.environ.get("COLAB_REMOTE_HOME")
    return Path(folder).absolute() if folder else None
