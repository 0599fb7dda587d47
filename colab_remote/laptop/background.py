"""Processes of ours that outlive the command that starts them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import colab_remote

_DETACHED = getattr(subprocess, "DETACHED_PROCESS", 0)  # what Windows has for a session of its own
_children: list[subprocess.Popen[bytes]] = []  # Python complains of children that are lost while they run


def start_background(module: str, *words: str, told: bytes = b"") -> subprocess.Popen[bytes]:
    """`python -m MODULE WORDS` in a session of its own, which inherits nothing, says nothing and hears `told`."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [sys.executable, "-m", module, *words],
        cwd=Path(colab_remote.__file__).parents[1],
        stdin=subprocess.PIPE if told else quiet,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,
        creationflags=_DETACHED,
    )
    _children.append(process)
    if process.stdin:
        with suppress(OSError), process.stdin as way:
            way.write(told)
    return process
