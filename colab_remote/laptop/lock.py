"""What one command does at a time: a sync of a project, bringing its outputs home, changing what is known of hosts.

The system lets go of a lock with the process that held it, however that ended.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from colab_remote.errors import Refused

LOCK = "lock"  # in a project's `.colab-remote/`
PATIENCE = 10.0  # seconds to wait for another one
_LOOK = 0.05
_SPAN = 1 << 30  # where the locked byte lies: Windows lets nobody read a locked one


@contextmanager
def hold(path: Path, patience: float = PATIENCE, other: str = "another sync of this project") -> Iterator[None]:
    """Hold the lock at `path`, waiting up to `patience` seconds for the `other`. Raises Refused with who holds it."""
    deadline = time.monotonic() + patience
    while True:
        with held(path) as ours:
            if ours:
                yield
                return
        if time.monotonic() > deadline:
            raise Refused(f"{other} runs: {holder(path)}", "wait for it, or end it")
        time.sleep(_LOOK)


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Whether the lock at `path` is ours, which it is then as long as this lasts."""
    with open(path, "a+b", opener=partial(os.open, mode=0o600)) as file:
        ours = try_lock(file.fileno())
        if ours:
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "since": time.time()}).encode("ascii"))
            file.flush()
        yield ours


def holder(path: Path) -> str:
    """Who holds the lock: `process 123, since 12:41:00`."""
    try:
        said = json.loads(path.read_bytes())
        return f"process {int(said['pid'])}, since {time.strftime('%H:%M:%S', time.localtime(float(said['since'])))}"
    except (OSError, ValueError, KeyError, TypeError):
        return "an unnamed process"


if sys.platform == "win32":
    import msvcrt

    def try_lock(handle: int) -> bool:
        """Take the lock of an open file, if nobody else has it; the system lets go of it with its holder."""
        os.lseek(handle, _SPAN, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(handle, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def try_lock(handle: int) -> bool:
        """Take the lock of an open file, if nobody else has it; the system lets go of it with its holder."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
