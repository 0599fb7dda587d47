"""The end of what the runtime's side started."""

from __future__ import annotations

import contextlib


def end_tree(pid: int) -> None:
    """End a process and all that came from it; a job has a session and a parent of its own, and stays."""
    import psutil

    try:
        top = psutil.Process(pid)
        processes = [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for ended in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            ended.terminate()
    _, left = psutil.wait_procs(processes, 2)
    for ended in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            ended.kill()
    psutil.wait_procs(left, 2)
