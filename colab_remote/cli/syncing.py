"""How a sync looks: its line, its files, its conflicts, its progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from colab_remote.cli.output import output, visible
from colab_remote.cli.tables import amount, columns
from colab_remote.errors import Conflicts

if TYPE_CHECKING:
    from colab_remote.both.scan import Entry
    from colab_remote.laptop.conversation import Conversation
    from colab_remote.laptop.hosts import Host
    from colab_remote.laptop.project import Project
    from colab_remote.laptop.sync import Progress, Report

_SHOWN = 20  # conflicts and problems that are named one by one
_OFTEN = 0.1  # seconds between two looks of the progress line


def summary(report: Report) -> str:
    """`sync     14 files up, 0 down · 210 kB · 0.4 s`, and what stayed behind."""
    parts = [f"{_files(len(report.up))} up, {len(report.down)} down"]
    if report.deleted_there or report.deleted_here:
        parts.append(f"deleted {len(report.deleted_there)} there, {len(report.deleted_here)} here")
    parts += [amount(report.sent + report.received), f"{report.seconds:.1f} s"]
    return "\n".join([f"sync     {' · '.join(parts)}", *_problems(report)])


def moves(report: Report) -> list[str]:
    """A line for each file that went, or would go."""
    kinds = (
        ("up", report.up),
        ("down", report.down),
        ("delete there", report.deleted_there),
        ("delete here", report.deleted_here),
    )
    return [f"  {kind:<12}  {_name(path)}" for kind, paths in kinds for path in paths]


def ignored(report: Report) -> list[str]:
    """A line for each path that a rule leaves out, with the rule, as `git check-ignore -v` tells it."""
    return columns([("  ignored", _name(path), _name(rule)) for path, rule in report.ignored.items()])


def conflicts(report: Report, host: str) -> Conflicts:
    """The error that names every conflict, and what to do."""
    went = len(report.up) + len(report.down) + len(report.deleted_here) + len(report.deleted_there)
    rows = [
        (f"  {_name(conflict.path)}", f"laptop {_when(conflict.local)}", f"{host} {_when(conflict.remote)}")
        for conflict in report.conflicts[:_SHOWN]
    ]
    lines = [
        f"{_files(len(report.conflicts))} changed on both sides; neither was touched, {went} others went through",
        *columns(rows),
        *_more(len(report.conflicts)),
        *_problems(report),
    ]
    return Conflicts("\n".join(lines), "`colab-remote sync --prefer local` or `--prefer remote` decides")


def bring_up_to_date(project: Project, conversation: Conversation, host: Host) -> None:
    """Sync before a job and say so. Raises Conflicts: no job begins over one."""
    from colab_remote.laptop.project import remember_host
    from colab_remote.laptop.sync import synchronize

    with tells() as progress:
        report = synchronize(project, conversation, host.ticket.workdir, host.name, progress=progress)
    remember_host(project, host.name)
    if report.conflicts:
        raise conflicts(report, host.name)
    output().say(summary(report))


def document(report: Report) -> dict[str, Any]:
    """The report as --json tells it."""
    return asdict(report)


@contextmanager
def tells() -> Iterator[Callable[[Progress], None] | None]:
    """What to call with progress: a line on a terminal that is gone afterwards, nothing elsewhere."""
    if output().quiet or output().json or not sys.stderr.isatty():
        yield None
        return
    shown = 0.0

    def show(progress: Progress) -> None:
        nonlocal shown
        if time.monotonic() - shown < _OFTEN:
            return
        shown = time.monotonic()
        line = f"sync     {_files(progress.files)} · {amount(progress.bytes)} of {amount(progress.total)}"
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _problems(report: Report) -> list[str]:
    rows = [f"  {_name(path)} {reason}" for path, reason in sorted(report.problems.items())]
    return [*rows[:_SHOWN], *_more(len(rows))]


def _more(count: int) -> list[str]:
    return [f"  and {count - _SHOWN} more"] if count > _SHOWN else []


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"


def _when(entry: Entry | None) -> str:
    if entry is None:
        return "deleted"
    return time.strftime("%H:%M:%S", time.localtime(entry.mtime_ns / 1e9)) if entry.kind == "file" else entry.kind


def _name(path: str) -> str:
    """A path on one line, whatever is in it."""
    return visible(path).replace("\n", "\\n").replace("\t", "\\t")
