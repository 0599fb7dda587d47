"""A project and its folder on a runtime, made equal: scan, reconcile, transfer."""

from __future__ import annotations

import os
import platform
import posixpath
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from colab_remote.both.arrive import FULL, UNWRITABLE
from colab_remote.both.ignore import Ignore
from colab_remote.both.records import Step
from colab_remote.both.scan import UNREADABLE, Listing, scan
from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.laptop.conversation import Conversation, Exchange
from colab_remote.laptop.lock import LOCK, hold
from colab_remote.laptop.project import OURS, SETTINGS, Project
from colab_remote.laptop.sync.reconcile import Conflict, Content, Plan, Side, content, reconcile
from colab_remote.laptop.sync.scope import ignored_here, keeps_bits, lend_bits, narrow
from colab_remote.laptop.sync.state import State, load_known, load_state, save_known, save_state
from colab_remote.laptop.sync.transfer import MISSING, Far, Transferred, look, seen, transfer


class Progress(NamedTuple):
    """How far a sync is: bytes that passed, of those that are to pass both ways, and the files there are.

    `first`: it is told for the first time.
    """

    bytes: int
    total: int
    files: int
    first: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What a sync did: paths, conflicts, problems by path (with the reason), content's bytes each way, seconds.

    Of a dry run, also what is not synced by a rule: the rule by path. `agreed` is what both sides have now.
    """

    up: tuple[str, ...]
    down: tuple[str, ...]
    deleted_here: tuple[str, ...]
    deleted_there: tuple[str, ...]
    conflicts: tuple[Conflict, ...]
    problems: dict[str, str]
    sent: int
    received: int
    seconds: float
    ignored: dict[str, str] = field(default_factory=dict)
    agreed: State = field(default_factory=State, repr=False)

    @property
    def failed(self) -> list[str]:
        """What could not be read or written: neither left out by a rule nor settled by the next sync."""
        failures = (UNREADABLE, UNWRITABLE, MISSING)
        return sorted(path for path, reason in self.problems.items() if reason.startswith(failures))


class Options(NamedTuple):
    """How one sync is to be done: the arguments of `synchronize`."""

    host: str
    prefer: Side | None
    adopt: bool
    dry_run: bool
    progress: Callable[[Progress], None] | None


def synchronize(
    project: Project,
    conversation: Conversation,
    workdir: str,
    host: str,
    *,
    prefer: Side | None = None,
    adopt: bool = False,
    dry_run: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Make the project and its folder under `workdir` on the runtime equal, as far as nothing is in the way.

    Raises Refused for a folder that is another's unless `adopt`, and where a side has lost most of its files unless
    `prefer` decides; ColabRemoteError for a full disk; Unreachable.
    """
    options = Options(host, prefer, adopt, dry_run, progress)
    folder = posixpath.join(workdir, project.name)
    with laptop_disk(), hold(project.root / OURS / LOCK):
        return settle(project, conversation, look(project, conversation, folder), folder, options)


@contextmanager
def laptop_disk() -> Iterator[None]:
    """What this laptop's disk refuses inside, as a ColabRemoteError. Raises Refused where names are not UTF-8."""
    # In another encoding a name may come back from the runtime as another one: the first would be deleted here.
    if sys.getfilesystemencoding() != "utf-8":
        raise Refused(
            f"file names are `{sys.getfilesystemencoding()}` in this locale, and a runtime's are UTF-8",
            "set PYTHONUTF8=1, or a locale such as LANG=C.UTF-8",
        )
    try:
        yield
    except OSError as error:
        where = f" at `{error.filename}`" if error.filename else ""
        raise ColabRemoteError(f"this laptop's disk refused{where}: {error.strerror or error}") from None


def settle(
    project: Project, conversation: Conversation, looked: Exchange | Far, folder: str, options: Options
) -> Report:
    """One sync, the project's lock being held: with what the runtime was asked, or has said since the last one."""
    started = time.monotonic()
    known = load_known(project)
    remembered = dict(known)
    here = scan(str(project.root), Ignore(project.exclude, project.outputs), known)
    far = looked if isinstance(looked, Far) else seen(looked, folder, options.host)
    mark = _mark(project, far, options)
    state = load_state(project, mark["disk"] if far.mark.get("project") == project.id else None)
    ancestor = state.ancestor(here.entries, far.listing.entries)
    bits = keeps_bits(project.root / OURS / LOCK)
    if not bits:
        lend_bits(project.root, here.entries, ancestor, far.listing.entries)
    scope = narrow(project, ancestor, here, far.listing)
    plan = _only_up(reconcile(ancestor, here.entries, far.listing.entries, options.prefer), scope.problems)
    _halt(plan, here, far.listing, options.host)
    if options.dry_run:
        report = _report(plan, Transferred(), scope.problems, started)
        return replace(report, ignored=ignored_here(project, here))
    if plan.up or plan.down:
        _fits(plan, far, project, options.host)
        # One that is cut off must leave no riddle: what arrived is found again by this.
        begun = State({**scope.kept, **ancestor}, _after(plan.up), _after(plan.down))
        save_state(project, mark["disk"], begun)
    done = transfer(project, conversation, far, plan.up, plan.down, mark, _teller(plan, options.progress), bits)
    agreed = State({**scope.kept, **_agreed(ancestor, plan, done, here, scope.problems)})
    if agreed != state or mark != far.mark:
        save_state(project, mark["disk"], agreed)
    if known != remembered:
        save_known(project, known)
    _full(done, folder, options.host, project)
    return replace(_report(plan, done, scope.problems, started), agreed=agreed)


def _mark(project: Project, far: Far, options: Options) -> dict[str, str]:
    """The mark for the runtime's folder: its own, or a new one where it is new to us. Raises Refused."""
    owner = far.mark.get("project")
    ours = {"project": project.id, "home": f"{platform.node()}:{project.root}"}
    if owner == project.id:
        return {"disk": far.mark.get("disk") or far.mark["begun"], **ours}
    if far.occupied and not options.adopt:
        another = f"is the folder of another project, `{far.mark.get('home')}`, and not that of `{project.root}`"
        unmarked = f"has files and no mark, neither of `{project.root}` nor of another project"
        raise Refused(
            f"`{far.folder}` on `{options.host}` {another if owner else unmarked}",
            "`--adopt` merges the two; or give this project another `name` in colab-remote.toml",
        )
    return {"disk": os.urandom(16).hex(), **ours}


def _halt(plan: Plan, here: Listing, there: Listing, host: str) -> None:
    """Stop where a side cannot be read, or has lost most of what it had. Raises ColabRemoteError."""
    for name, listing in (("this laptop", here), (f"`{host}`", there)):
        if "" in listing.problems:
            raise ColabRemoteError(f"the project's folder on {name} {listing.problems['']}")
    for side in plan.lost:
        name = "here" if side == "local" else f"on `{host}`"
        raise Refused(
            f"the project has lost all or most of its files {name} since the last sync; nothing was touched",
            "`--prefer local` makes the runtime as this laptop is, `--prefer remote` this laptop as the runtime is",
        )


def _only_up(plan: Plan, problems: dict[str, str]) -> Plan:
    """The plan without what would change the settings here: nothing on a runtime decides what a laptop does."""
    if not any(step.path == SETTINGS for step in plan.down):
        return plan
    problems[SETTINGS] = "changed on the runtime and only goes up: change it here"
    return plan._replace(down=tuple(step for step in plan.down if step.path != SETTINGS))


def _fits(plan: Plan, far: Far, project: Project, host: str) -> None:
    """Raise ColabRemoteError where a side's disk cannot hold what would come."""
    _hold(plan.up, far.free, f"`{host}`")
    if plan.down:
        import shutil  # most syncs bring nothing

        _hold(plan.down, shutil.disk_usage(project.root).free, "this laptop")


def _hold(steps: Iterable[Step], free: int, whose: str) -> None:
    needed = sum(step.length for step in steps)
    free += sum(step.before.size for step in steps if step.before and not step.after)
    if needed > free:
        raise ColabRemoteError(
            f"the disk of {whose} is too full: {needed:,} bytes are to come, and {free:,} fit", "free some space"
        )


def _agreed(
    ancestor: Mapping[str, Content], plan: Plan, done: Transferred, here: Listing, problems: Mapping[str, str]
) -> dict[str, Content]:
    """What both sides agree on after a transfer: of a path with a conflict or a problem what was so before."""
    now: dict[str, Content | None] = {path: content(here.entries.get(path)) for path in plan.same}
    now |= {**_after(plan.up), **_after(plan.down)}
    unsettled = (*(conflict.path for conflict in plan.conflicts), *problems, *done.up, *done.down)
    now |= {path: ancestor.get(path) for path in unsettled}
    return {path: found for path, found in now.items() if found is not None}


def _after(steps: Iterable[Step]) -> dict[str, Content | None]:
    return {step.path: content(step.after) for step in steps}


def _full(done: Transferred, folder: str, host: str, project: Project) -> None:
    sides = ((done.up, f"`{folder}` on `{host}`"), (done.down, f"`{project.root}`"))
    for problems, name in sides:
        missed = [path for path, reason in problems.items() if reason == FULL]
        if missed:
            raise ColabRemoteError(
                f"the disk of {name} is full: {len(missed)} files did not fit, `{missed[0]}` first",
                "free some space, then sync again: what fitted is there, whole",
            )


def _teller(plan: Plan, progress: Callable[[Progress], None] | None) -> Callable[[int], None]:
    total = sum(step.length for step in (*plan.up, *plan.down))
    passed = 0

    def tell(count: int) -> None:
        nonlocal passed
        first, passed = passed == 0, passed + count
        if progress:
            progress(Progress(passed, total, len(plan.up) + len(plan.down), first))

    return tell


def _report(plan: Plan, done: Transferred, problems: dict[str, str], started: float) -> Report:
    up = [step for step in plan.up if step.path not in done.up]
    down = [step for step in plan.down if step.path not in done.down]
    return Report(
        up=_paths(step for step in up if step.after),
        down=_paths(step for step in down if step.after),
        deleted_here=_paths(step for step in down if not step.after),
        deleted_there=_paths(step for step in up if not step.after),
        conflicts=plan.conflicts,
        problems={**problems, **done.up, **done.down},
        sent=sum(step.length for step in up),
        received=sum(step.length for step in down),
        seconds=time.monotonic() - started,
    )


def _paths(steps: Iterable[Step]) -> tuple[str, ...]:
    return tuple(step.path for step in steps)
