"""A command at a terminal of its own, a real pty."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from sides import PATIENCE, Host


def on_a_terminal(host: Host, root: Path, *words: str) -> tuple[str, int]:
    """All that a command writes to a terminal, and its exit code."""
    ours, its = pty.openpty()
    env = {**host.laptop.env, "TERM": "xterm", "COLUMNS": "120"}
    env.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "colab_remote", *words], cwd=root, env=env, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:
        pass  # the other end is closed
    os.close(ours)
    return shown.decode(), process.wait(PATIENCE)
