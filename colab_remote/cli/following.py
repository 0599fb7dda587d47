"""What is said of a job that a command follows: as it begins, ends, or is left."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from colab_remote.both.jobrecord import GRACE
from colab_remote.cli.moments import precisely
from colab_remote.cli.output import output, visible
from colab_remote.cli.show import Show
from colab_remote.errors import ContactLost
from colab_remote.laptop.history import Job
from colab_remote.laptop.hosts import load_host
from colab_remote.laptop.jobs import stop
from colab_remote.laptop.logcopy import Clock
from colab_remote.laptop.reach import reach


class Timed:
    """Shows a log from byte `begin` with the time of each line before it."""

    def __init__(self, show: Show, clock: Clock, begin: int) -> None:
        self._show, self._clock, self._offset = show, clock, begin
        self._fresh = True

    def __call__(self, piece: bytes) -> None:
        shown = bytearray()
        for line in re.findall(rb"[^\n]*\n|[^\n]+", piece):
            if self._fresh:
                shown += precisely(self._clock(self._offset)).encode() + b" "
            shown += line
            self._fresh = line.endswith(b"\n")
            self._offset += len(line)
        self._show(bytes(shown))


def began(job: Job, stops: bool) -> None:
    """Say which job it is, and whether an interrupt `stops` it."""
    if output().json:
        output().report({"job": asdict(job)}, ())
    output().say(visible(f"job      {job.name} · {job.command} · Ctrl-C {'ends it' if stops else 'leaves it running'}"))


def detached(job: Job) -> int:
    """Print the job's id, alone on stdout."""
    output().report({"job": asdict(job)}, (job.id,))
    output().say(visible(f"`{job.name}` runs on `{job.host}`: `colab-remote {_back(job)} {job.id}` follows it"))
    return 0


def ended(job: Job) -> int:
    """Say how the job ended where its log does not; its exit code. Raises ContactLost for one that is lost."""
    if output().json:
        output().report({"job": asdict(job)}, ())
    if job.state == "lost":
        gone = "it was killed and nobody saw how it ended" if job.vm_lives else "the VM that ran it is gone"
        raise ContactLost(
            f"`{job.name}` is lost: `{job.host}` answers, but {gone}",
            "`colab-remote train --resume` goes on from the newest checkpoint at home" if job.kind == "train" else "",
        )
    if job.state == "stopped" or job.signal:
        output().say(
            visible(f"`{job.name}` was ended by signal {job.signal}" if job.signal else f"`{job.name}` was stopped")
        )
    return job.exit_code


@contextmanager
def interruptible(job: Job, stops: bool = False) -> Iterator[None]:
    """On Ctrl-C say that the job goes on, how to come back, and how to stop it; where it `stops`, end it instead.

    It goes on too when whoever read our output, such as `head`, has enough, or when a full disk takes no more of it.
    """
    if stops:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        if stops:
            _stopped(job)
        else:
            left(job)
        raise
    except OSError:
        left(job)
        raise


def left(job: Job) -> None:
    """Say that the job goes on, how to come back, and how to stop it."""
    output().say(
        visible(
            f"\n`{job.name}` goes on, on `{job.host}`\n\n"
            f"hint: `colab-remote {_back(job)} {job.id}` comes back to it, `colab-remote stop {job.id}` ends it"
        )
    )


def _back(job: Job) -> str:
    return "attach" if job.tty else "logs -f"


def _stopped(job: Job) -> None:
    output().say(visible(f"\nstopping `{job.name}`"))
    with reach(load_host(job.host), output().timeout, output().say) as reached:
        ended(stop(reached.open_agent(), job, GRACE))
