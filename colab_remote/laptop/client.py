"""The system's OpenSSH client."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from colab_remote.errors import Refused
from colab_remote.laptop.places import account_home, ssh_folder

_HOW = {
    "win32": "`Add-WindowsCapability -Online -Name OpenSSH.Client~~~~0.0.1.0` in an administrator's PowerShell",
    "darwin": "`brew install openssh`",
}


def installed() -> bool:
    """Whether there is an `ssh` on PATH."""
    return shutil.which("ssh") is not None


def version() -> str:
    """What the `ssh` on PATH calls itself, `OpenSSH_9.2p1 ...`; empty where there is none."""
    if not installed():
        return ""
    return subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.strip()


def how_to_install(platform: str = sys.platform) -> str:
    """The command that installs OpenSSH's client."""
    return _HOW.get(platform, "`sudo apt install openssh-client`, or your system's like")


def ssh_argv(name: str, command: Sequence[str]) -> list[str]:
    """`ssh` to a known host, running `command` (joined by spaces and read by the far shell, as ssh does)."""
    return [*ssh_words(), name, *(["--", *command] if command else [])]


def ssh_words() -> list[str]:
    """`ssh`, reading the user's own configuration wherever HOME is."""
    return ["ssh", *(["-F", str(ssh_folder() / "config")] if _reads_another_home() else [])]


def become_ssh(name: str, command: Sequence[str]) -> NoReturn:
    """End in the system's ssh, with its exit code. Raises Refused where there is none."""
    if not installed():
        raise Refused("this machine has no `ssh`", f"install it: {how_to_install()}")
    argv = ssh_argv(name, command)
    if os.name == "nt":  # there a replaced process would let the shell go on before it ends
        sys.exit(subprocess.call(argv))
    os.execvp(argv[0], argv)


def _reads_another_home() -> bool:
    """Whether ssh would look elsewhere: it takes `~` from the password database, not from HOME."""
    return account_home() not in (None, Path.home())
