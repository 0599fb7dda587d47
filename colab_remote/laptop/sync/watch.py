"""A project kept in sync: what changes on either side travels as it happens."""

from __future__ import annotations

import math
import posixpath
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from colab_remote.both.ignore import NEVER
from colab_remote.both.records import CHANGED
from colab_remote.both.scan import Listing
from colab_remote.errors import ColabRemoteError, Unreachable
from colab_remote.laptop.contact import PAUSES
from colab_remote.laptop.conversation import Conversation
from colab_remote.laptop.hosts import load_host
from colab_remote.laptop.lock import LOCK, hold
from colab_remote.laptop.project import OURS, Project
from colab_remote.laptop.reach import reach
from colab_remote.laptop.sync import Options, Report, laptop_disk, settle
from colab_remote.laptop.sync.state import states_version
from colab_remote.laptop.sync.transfer import Far, look, seen, watch_far

_STEP, _DEBOUNCE = 20, 200  # milliseconds of quiet after which a burst of changes is over, and its longest wait
_IDLE = 1000  # milliseconds after which it is heard that nothing changed
_GLANCE = 1.0  # seconds; a wait without an end hears no Ctrl-C on Windows
_GLANCES = 4  # looks for editors before their absence is believed


@dataclass(frozen=True, slots=True)
class Event:
    """What a watch tells: `synced` with a report, `lost` and `back` with a sentence about the host."""

    kind: str
    report: Report | None = None
    message: str = ""


class Editing:
    """Whether a watch goes on: until no editor has been seen on the runtime for `patience` seconds, else for ever.

    `editors` are the folders that their servers run from.
    """

    def __init__(self, editors: Sequence[str] = (), patience: float = math.inf) -> None:
        self.editors = editors
        self.glance = patience / _GLANCES
        self._patience, self._seen = patience, math.inf

    def see(self, far: Far) -> None:
        """Take in what the runtime said; patience begins with the first word."""
        if far.edited or self._seen == math.inf:
            self._seen = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether they have been gone for too long."""
        return time.monotonic() - self._seen > self._patience


def watch(project: Project, options: Options, timeout: float | None, editing: Editing) -> Iterator[Event]:
    """Keep the project and its folder on `options.host` equal until the caller stops asking, or `editing` is over.

    Each time it is lost the host is sought again, by its name, for as long. Raises what `synchronize` raises,
    Unreachable only where the host cannot be reached to begin with.
    """
    with _local_changes(project.root) as woken:
        attempts, met = 0, False
        while not editing.over:
            try:
                host = load_host(options.host)
                with reach(host, timeout) as connection:
                    folder = posixpath.join(host.ticket.workdir, project.name)
                    followed = _Following(project, connection.open_agent(), folder, options, woken, editing)
                    if attempts > 1:
                        yield Event("back", message=f"`{host.name}` answers again")
                    attempts, met = 0, True
                    for report in followed.reports():
                        options = options._replace(prefer=None, adopt=False)
                        yield Event("synced", report)
            except Unreachable as error:
                if not met:
                    raise
                attempts += 1
                if attempts == 2:
                    yield Event("lost", message=f"{error.message}; trying again until it is back")
                time.sleep(PAUSES[min(attempts, len(PAUSES) - 1)])


class _Following:
    """The syncs over one conversation."""

    def __init__(
        self,
        project: Project,
        conversation: Conversation,
        folder: str,
        options: Options,
        woken: threading.Event,
        editing: Editing,
    ) -> None:
        self.project, self.conversation, self.folder = project, conversation, folder
        self.options, self.woken, self.editing = options, woken, editing

    def reports(self) -> Iterator[Report]:
        """A report for each sync that did something, or met other problems than the one before, and for the first."""
        far: Far | None = None
        listing = Listing()
        version: object = None
        before: Report | None = None
        while not self.editing.over:
            self.woken.clear()
            with laptop_disk(), hold(self.project.root / OURS / LOCK, math.inf):
                # After another command's sync what we heard of the runtime may be older than what they agreed on.
                if far is None or version != states_version(self.project):
                    far = seen(look(self.project, self.conversation, self.folder), self.folder, self.options.host)
                listing = far.listing
                report = settle(self.project, self.conversation, _copy(far), self.folder, self.options)
                version = states_version(self.project)
            if before is None or _tells_more(report, before):
                self.options = self.options._replace(prefer=None, adopt=False)
                before = report
                yield report
            far = self._next(listing)
            self.editing.see(far)

    def _next(self, listing: Listing) -> Far:
        """What the runtime holds once either side has changed, or it is time for a look. Raises Unreachable."""
        asked = watch_far(self.project, self.conversation, self.folder, self.editing.editors)
        answers: list[Far | ColabRemoteError] = []

        def hear() -> None:
            try:
                answers.append(seen(asked, self.folder, self.options.host, listing))
            except ColabRemoteError as error:
                answers.append(error)
            self.woken.set()

        hearing = threading.Thread(target=hear, daemon=True)
        hearing.start()
        until = time.monotonic() + self.editing.glance
        while not self.woken.wait(_GLANCE) and time.monotonic() < until:
            pass
        if not answers:
            asked.cancel()
        while hearing.is_alive():
            hearing.join(_GLANCE)
        (answer,) = answers
        if isinstance(answer, ColabRemoteError):
            raise answer
        return answer


def _copy(far: Far) -> Far:
    """A sync takes out of what it is given what it leaves alone."""
    found = far.listing
    return far._replace(listing=Listing(dict(found.entries), dict(found.problems), dict(found.rules)))


def _tells_more(report: Report, before: Report) -> bool:
    moved = report.up or report.down or report.deleted_here or report.deleted_there
    return bool(moved) or _obstacles(report) != _obstacles(before)


def _obstacles(report: Report) -> object:
    lasting = {path: reason for path, reason in report.problems.items() if reason != CHANGED}
    return (report.conflicts, lasting)


@contextmanager
def _local_changes(root: Path) -> Iterator[threading.Event]:
    """An event that is set whenever something changes in `root`."""
    import watchfiles

    woken, stop = threading.Event(), threading.Event()

    def concerns(change: object, path: str) -> bool:
        return not NEVER.intersection(Path(path).relative_to(root).parts)

    def look_on() -> None:
        looking = False
        for changes in watchfiles.watch(
            root,
            watch_filter=concerns,
            debounce=_DEBOUNCE,
            step=_STEP,
            stop_event=stop,
            rust_timeout=_IDLE,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        ):
            # What changed before it began to look is found by one more scan.
            if changes or not looking:
                woken.set()
            looking = True

    thread = threading.Thread(target=look_on, daemon=True)
    thread.start()
    try:
        yield woken
    finally:
        stop.set()
        thread.join(2)
