"""Where this laptop keeps our things, for their owner alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from colab_remote.errors import Refused

# The system and its administrators, whose names are others in each language.
_WINDOWS_OWN = ("*S-1-5-18", "*S-1-5-32-544")


def ours() -> Path:
    """The folder of the generated config, the key, the pinned keys and the hosts: absolute, not yet made."""
    return _moved() or ssh_folder() / "colab-remote"


def ssh_folder() -> Path:
    """`~/.ssh`, as HOME (on Windows USERPROFILE) says."""
    return Path.home().absolute() / ".ssh"


def records() -> Path:
    """The folder of what is kept but not configured, such as jobs' records and logs: absolute, not yet made."""
    moved = _moved()
    return moved / "records" if moved else _of_system("state")


def settings_file() -> Path:
    """The user's own `config.toml`, whether there is one or not."""
    return (_moved() or _of_system("config")) / "config.toml"


def account_home() -> Path | None:
    """The home folder in the password database, which OpenSSH takes whatever HOME says; None where there is none."""
    if sys.platform == "win32":
        return None
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def make_private(folder: Path) -> Path:
    """`folder`, made with all above it where it is missing, for its owner alone."""
    # On Windows a mode of 0o700 grants "OWNER RIGHTS", which OpenSSH takes for a stranger's: there the home's are kept.
    folder.mkdir(mode=0o777 if sys.platform == "win32" else 0o700, parents=True, exist_ok=True)
    return folder


def keep_private(path: Path, platform: str = sys.platform) -> None:
    """Take what OpenSSH reads from everybody else on Windows, where its mode could not. Raises Refused."""
    if platform != "win32":
        return
    import subprocess

    argv = icacls_argv(path, os.environ, path.is_dir())
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise Refused(
            f"`{path}` cannot be kept from others: {(done.stderr or done.stdout).strip()}",
            "name a folder on a disk that has permissions: COLAB_REMOTE_HOME=FOLDER",
        )


def icacls_argv(path: Path, environment: Mapping[str, str], folder: bool) -> list[str]:
    """The command that leaves `path` to the user, the system and administrators; a folder with all that comes into it.

    OpenSSH for Windows refuses a key that anybody else may read, and a configuration that anybody else may change
    (Win32-OpenSSH, w32-sshfileperm.c).
    """
    user = "\\".join(environment[name] for name in ("USERDOMAIN", "USERNAME") if name in environment)
    rights = "(OI)(CI)F" if folder else "F"
    return ["icacls", str(path), "/inheritance:r", "/grant:r", *(f"{who}:{rights}" for who in (user, *_WINDOWS_OWN))]


def _of_system(what: Literal["state", "config"]) -> Path:
    """Where this system has programs keep what they know (`state`), or are told (`config`)."""
    if sys.platform == "linux":
        # The XDG Base Directory Specification, here because platformdirs' import is a tenth of a warm command's time.
        named = os.environ.get(f"XDG_{what.upper()}_HOME", "")
        usual = Path.home() / (".local/state" if what == "state" else ".config")
        return (Path(named) if os.path.isabs(named) else usual) / "colab-remote"
    from platformdirs import PlatformDirs

    folders = PlatformDirs("colab-remote", appauthor=False)
    return folders.user_state_path if what == "state" else folders.user_config_path


def _moved() -> Path | None:
    folder = os.environ.get("COLAB_REMOTE_HOME")
    return Path(folder).absolute() if folder else None
