"""`launch(wait=True)`: a line about how things stand, for as long as the cell runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from colab_remote.both.hardware import gpus, memory
from colab_remote.both.processes import alive
from colab_remote.both.whole import read_json
from colab_remote.runtime import Runtime
from colab_remote.runtime.display import one_line, say, updated_line

_EVERY = 5.0  # seconds between two looks
_KEEP = "Keep this cell running: Colab may take an idle VM. Interrupting it leaves the connection up."


def watch(runtime: Runtime) -> None:
    """Show the status line until interrupted, or until the runtime was shut down."""
    say(_KEEP)
    show = updated_line()
    ticket = runtime.ticket
    try:
        while record := runtime.now():
            show(status_line(record, runtime.state))
            if ticket != runtime.ticket:
                ticket = runtime.ticket
                say(f'\nthe address has changed; on your laptop: colab-remote connect "{ticket}"')
            time.sleep(_EVERY)
        say("\nshut down")
    except KeyboardInterrupt:
        say("\nthe cell has stopped; sshd, the tunnel and jobs go on")


def status_line(record: dict[str, Any], state: Path) -> str:
    """`12:41  ngrok up · 1 connection · 1 job (mnist-3, 12 min) · T4 87 % 3.1/15 GB · RAM 4.2/12.7 GB`."""
    parts = [f"{record['address']['tunnel']} {record.get('trouble') or 'up'}"]
    parts += [_counted(_connections(record["sshd"]), "connection"), _jobs(state / "jobs")]
    parts += [f"{gpu['name']} {gpu['load']:.0%} {_of(gpu)}" for gpu in gpus()]
    return f"{time.strftime('%H:%M')}  {' · '.join([*parts, f'RAM {_of(memory())}'])}"


def _connections(sshd: int) -> int:
    import psutil

    try:
        return len(psutil.Process(sshd).children())
    except psutil.NoSuchProcess:
        return 0


def _jobs(folder: Path) -> str:
    running = [found for found in map(_running, sorted(folder.glob("*"))) if found]
    return _counted(len(running), "job") + (f" ({', '.join(running)})" if running else "")


def _running(folder: Path) -> str | None:
    """A running job's name and minutes; its files may be anything, a job folder is written by others too."""
    try:
        if (folder / "exit.json").exists():
            return None
        ran, job = read_json(folder / "run.json"), read_json(folder / "job.json")
        if not alive(ran["pid"], ran["start"], ran["boot"]):
            return None
        return f"{one_line(str(job['name']), 40)}, {(time.time() - ran['started']) / 60:.0f} min"
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError):
        return None


def _of(usage: dict[str, Any]) -> str:
    return f"{usage['used'] / 1e9:.1f}/{usage['total'] / 1e9:.1f} GB"


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
