"""A person stays at a job's terminal, where there is one here to stay at."""

from __future__ import annotations

import sys

from colab_remote.cli.following import ended, left
from colab_remote.errors import Refused
from colab_remote.laptop.contact import Contact
from colab_remote.laptop.history import Job


def need_terminal() -> None:
    """Raises Refused where no person can be at a job's terminal."""
    if sys.platform == "win32" or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Refused(
            "this is no terminal that a job's can be joined to",
            "`--detach` leaves the job to itself, `colab-remote logs -f` shows what it says",
        )


def stay(made: Contact, job: Job, begin: int = 0) -> int:
    """Be at the job's terminal, its log at home shown from byte `begin`; its exit code, or 0 for a person who leaves.

    Raises Refused.
    """
    need_terminal()
    if sys.platform != "win32":
        from colab_remote.cli.terminal import at_terminal

        over = at_terminal(made, job, begin)
        if over:
            return ended(over)
        left(job)
    return 0
