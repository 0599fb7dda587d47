"""How a job looks while a command follows it, and what is said when it ends or is left."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from colab_remote.both.jobrecord import GRACE
from colab_remote.cli.metering import month_line, waiting_lines
from colab_remote.cli.moments import precisely
from colab_remote.cli.output import output, visible
from colab_remote.cli.panel import watched
from colab_remote.cli.show import Show
from colab_remote.cli.tables import amount
from colab_remote.errors import ContactLost
from colab_remote.laptop.contact import Contact
from colab_remote.laptop.history import Job
from colab_remote.laptop.home import Arrival, Checkpoint, Home
from colab_remote.laptop.hosts import load_host
from colab_remote.laptop.jobs import follow, stop
from colab_remote.laptop.logcopy import Clock
from colab_remote.laptop.meter import allowance
from colab_remote.laptop.project import Project
from colab_remote.laptop.reach import reach
from colab_remote.laptop.training import left_there, mirrored, outputs_of


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
    """On Ctrl-C say that the job goes on, how to come back, and how to stop it; where it `stops`, end it instead."""
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


def see_through(made: Contact, project: Project, job: Job) -> int:
    """Follow the log and bring outputs home until both are complete; the job's exit code."""
    arrivals: list[Arrival] = []
    rest = allowance(project.budget, made.host)
    shown = output()  # asked for here: the mirror's thread has no click context

    def tell(arrival: Arrival) -> None:
        arrivals.append(arrival)
        if shown.json:
            shown.report({"home": asdict(arrival)}, ())
        if arrival.kept or (arrival.checkpoint and not panel.live):
            shown.say(visible(arrival_line(arrival)))
        panel.arrived(arrival)

    try:
        with (
            watched(project.root) as panel,
            mirrored(made, outputs_of(project, job, rest, panel.moving), tell) as mirror,
        ):
            job = follow(made, None, job, panel.log)
            mirror.result()
        if job.state == "lost":
            return ended(job)
    except ContactLost:
        shown.say(visible(_last_at_home(project)))
        raise
    lines = [
        _summary(project, arrivals),
        *([f"vault    {job.vault}"] if job.vault else ()),
        *_left(project, left_there(made.open_agent(), project, job)),
        *waiting_lines(rest, made.host),
        month_line(made.host, project.budget),
    ]
    shown.say(visible("\n".join(lines)))
    return ended(job)


def arrival_line(arrival: Arrival) -> str:
    """`home     saved/run/step-2.pt  12.6 MB`, and where the one went that lay there."""
    kept = f" · the older one is kept as {arrival.kept}" if arrival.kept else ""
    return f"home     {arrival.path}  {amount(arrival.size)}{kept}"


def checkpoint_line(checkpoint: Checkpoint) -> str:
    """A checkpoint's path, and when it was at home, or written where it did not come from a runtime."""
    clock = time.strftime("%H:%M:%S", time.localtime(checkpoint.arrived or checkpoint.written))
    return f"{checkpoint.path} ({clock})"


def _left(project: Project, rows: Sequence[tuple[str, int, int]]) -> list[str]:
    """Name what stays on the runtime, and the line that would bring it home."""
    if not rows:
        return []
    lines = [
        f"left     {name}  {amount(size)}{f' in {files} files' if files > 1 else ''}" for name, files, size in rows
    ]
    wanted = json.dumps([*project.outputs, *(name for name, _, _ in rows)], ensure_ascii=False)
    return [*lines, f"hint: no rule brings that home: `outputs = {wanted}` under [project] in colab-remote.toml does"]


def _last_at_home(project: Project) -> str:
    newest = Home(project).checkpoints()[-1:]
    if not newest:
        return "home     no checkpoint had time to travel"
    return f"home     {checkpoint_line(newest[0])} · nothing later had time to travel"


def _summary(project: Project, arrivals: Sequence[Arrival]) -> str:
    """What came home and is still there, the newest of each path counted once, the last checkpoint named."""
    latest = {arrival.path: arrival for arrival in arrivals if (project.root / arrival.path).exists()}
    if not latest:
        return "home     nothing: this job made no outputs"
    named = max(latest.values(), key=lambda arrival: (arrival.checkpoint, arrival.size))
    more = f"  and {len(latest) - 1} more" if len(latest) > 1 else ""
    return f"home     {named.path}  {amount(named.size)}{more}"
