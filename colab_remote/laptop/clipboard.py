"""The clipboard of whoever sits at this laptop."""

from __future__ import annotations

import shutil
import subprocess
import sys

_WRITERS = {"win32": [["clip"]], "darwin": [["pbcopy"]]}
_ELSEWHERE = [["wl-copy"], ["xclip", "-selection", "clipboard"], ["xsel", "--clipboard", "--input"]]
_PATIENCE = 3  # seconds; without a display these programs may wait for one


def copy(text: str, platform: str = sys.platform) -> bool:
    """Put `text` on the clipboard; whether some program here could."""
    # `clip` reads what the console's code page says, or UTF-16 where a mark begins it.
    data = text.encode("utf-16" if platform == "win32" else "utf-8")
    return any(_given(writer, data) for writer in _WRITERS.get(platform, _ELSEWHERE) if shutil.which(writer[0]))


def _given(writer: list[str], data: bytes) -> bool:
    try:
        # What stays behind to serve the clipboard must hold none of our pipes.
        done = subprocess.run(
            writer, input=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
