"""How a sync looks: its line, its files, its conflicts, its progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NoReturn

from colab_remote.cli.output import output, visible
from colab_remote.cli.tables import amount, columns
from colab_remote.errors import Conflicts, Unsynced

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from colab_remote.both.scan import Entry
    from colab_remote.laptop.conversation import Conversation
    from colab_remote.laptop.hosts import Host
    from colab_remote.laptop.project import Project
    from colab_remote.laptop.sync import Progress, Report
    from colab_remote.laptop.sync.reconcile import Side
    from colab_remote.laptop.sync.watch import Event

_SHOWN = 20  # conflicts and problems that are named one by one
_SHORT = 0.5  # seconds after which a transfer is shown,
_SELDOM = 3.0  # and between two lines about it where there is no terminal
CLEAR = "\r\x1b[K"


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


def conflicts(report: Report, host: str, dry_run: bool = False) -> Conflicts:
    """The error that names every conflict, and what to do; of a dry run, what `summary` does not say already."""
    went = len(report.up) + len(report.down) + len(report.deleted_here) + len(report.deleted_there)
    rows = [
        (f"  {_name(conflict.path)}", f"laptop {_when(conflict.local)}", f"{host} {_when(conflict.remote)}")
        for conflict in report.conflicts[:_SHOWN]
    ]
    touched, through = ("would be touched", "would go") if dry_run else ("was touched", "went")
    lines = [
        f"{_files(len(report.conflicts))} changed on both sides; neither {touched}, {went} others {through} through",
        *columns(rows),
        *_more(len(report.conflicts)),
        *(() if dry_run else _problems(report)),
    ]
    return Conflicts("\n".join(lines), "`colab-remote sync --prefer local` or `--prefer remote` decides")


def failures(report: Report) -> Unsynced:
    """The error that names what could not be read or written, and the other problems after it."""
    message = f"{_files(len(report.failed))} could not be synced; the others went through"
    return Unsynced("\n".join([message, *_problems(report)]), "mend that, or `exclude` it; then sync again")


def bring_up_to_date(project: Project, conversation: Conversation, host: Host) -> Report:
    """Sync before a job and say so; what it did. Raises Conflicts, Unsynced: no job begins over an older file."""
    from colab_remote.laptop.project import remember_host
    from colab_remote.laptop.sync import synchronize

    with tells() as progress:
        report = synchronize(project, conversation, host.ticket.workdir, host.name, progress=progress)
    remember_host(project, host.name)
    if report.conflicts:
        raise conflicts(report, host.name)
    if report.failed:
        raise failures(report)
    output().say(summary(report))
    return report


def keep_in_sync(project: Project, host: Host, prefer: Side | None, adopt: bool, verbose: bool) -> NoReturn:
    """Sync, and go on as either side changes, telling of each event, until Ctrl-C. Raises what `watch` raises."""
    from colab_remote.laptop.project import remember_host
    from colab_remote.laptop.sync import Options
    from colab_remote.laptop.sync.watch import Editing, watch

    with _status_line() as show, tells() as progress:
        options = Options(host.name, prefer, adopt, dry_run=False, progress=progress)
        for event in watch(project, options, output().timeout, Editing()):
            remember_host(project, host.name)
            show("")
            _tell(event, host.name, verbose)
            state = "looking for" if event.kind == "lost" else "in sync with"
            show(f"watch    {state} `{host.name}` since {time.strftime('%H:%M:%S')} · Ctrl-C ends")
    raise AssertionError("a watch has no end of its own")


def _tell(event: Event, host: str, verbose: bool) -> None:
    if event.report is None:
        output().say(f"{event.kind:<8} {visible(event.message)}")
        if output().json:
            output().report({"event": event.kind, "host": host, "message": event.message}, ())
        return
    lines = [summary(event.report), *(moves(event.report) if verbose else ())]
    output().report({"event": event.kind, "host": host, **document(event.report)}, lines)
    if event.report.conflicts:
        found = conflicts(event.report, host)
        output().say(visible(f"{found.message}\n\nhint: {found.hint}"))


def document(report: Report) -> dict[str, Any]:
    """The report as --json tells it."""
    told = {each.name: getattr(report, each.name) for each in fields(report) if each.name != "agreed"}
    return {**told, "conflicts": [conflict._asdict() for conflict in report.conflicts]}


@contextmanager
def tells() -> Iterator[Callable[[Progress], None] | None]:
    """What to call with progress: a bar on a terminal that is gone afterwards, a line now and then elsewhere."""
    if output().quiet or output().json:
        yield None
        return
    telling = _Telling(sys.stderr.isatty())
    try:
        yield telling
    finally:
        telling.end()


class _Telling:
    """How far the transfers of one command are; a short one goes without a word."""

    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal
        self._bar: Bar | None = None
        self._began = self._told = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.first:
            self.end()
            self._began = self._told = now
        if self._terminal and now - self._began > _SHORT:
            self._show(progress, now - self._began)
        elif not self._terminal and now - self._told > _SELDOM:
            self._told = now
            known = f"{amount(progress.bytes)} of {amount(progress.total)}"
            output().say(f"sync     {known} · {_pace(progress, now - self._began)}")

    def end(self) -> None:
        """Take the bar away."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _show(self, progress: Progress, seconds: float) -> None:
        if self._bar is None:
            self._bar = _new_bar(progress.total)
        self._bar.update(self._bar.task_ids[0], completed=progress.bytes, description=_pace(progress, seconds))


def _new_bar(total: int) -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn
    from rich.progress import Progress as Bar

    print(CLEAR, end="", file=sys.stderr, flush=True)
    shown = (TextColumn("sync    "), BarColumn(), DownloadColumn(), TextColumn("{task.description}"))
    bar = Bar(*shown, console=Console(stderr=True), transient=True)
    bar.add_task("", total=total)
    bar.start()
    return bar


def _pace(progress: Progress, seconds: float) -> str:
    rate = progress.bytes / seconds
    left = max(0, progress.total - progress.bytes) / rate
    return f"{_files(progress.files)} · {amount(rate)}/s · {left:,.0f} s left"


@contextmanager
def _status_line() -> Iterator[Callable[[str], None]]:
    """What to call with the text of the terminal's last line, empty to take it away; does nothing elsewhere."""
    shown = sys.stderr.isatty() and not output().quiet and not output().json

    def show(text: str) -> None:
        if shown:
            print(f"{CLEAR}{visible(text)}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        show("")


def _problems(report: Report) -> list[str]:
    named = dict.fromkeys([*report.failed, *sorted(report.problems)])
    rows = [f"  {_name(path)} {report.problems[path]}" for path in named]
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
