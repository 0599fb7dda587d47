"""Jobs from the laptop: start, follow, list, stop. Each may be cut off anywhere and asked for again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colab_remote.both.jobrecord import make_id
from colab_remote.errors import ColabRemoteError, ContactLost, NotStarted, Unreachable
from colab_remote.laptop.contact import Contact
from colab_remote.laptop.conversation import Conversation, Exchange
from colab_remote.laptop.history import Job, all_known, job_of, remember
from colab_remote.laptop.logcopy import LogCopy

if TYPE_CHECKING:
    from colab_remote.laptop.pin import Pin


@dataclass(frozen=True, slots=True)
class Order:
    """What a job is to be: `command` is a shell's line, run in `folder` on the runtime.

    Without a `name` it is `stem` and a number. With `tty` it has a terminal. `environment` reaches the job and
    nothing else. `about` is kept in its record: what Job says of its run, and what its runner needs for the vault.
    """

    command: str
    folder: str
    stem: str
    name: str = ""
    kind: str = "run"
    project: str = ""
    tty: bool = False
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    about: dict[str, Any] = field(default_factory=dict)


def start(
    contact: Contact, conversation: Conversation, order: Order, project: Path | None = None, pin: Pin | None = None
) -> Job:
    """Start a job, once even if contact breaks meanwhile, and remember it at home with its pin. Raises NotStarted."""
    taken = [job.name for job in all_known()]
    asked = {
        "id": make_id(),
        "taken": taken,
        **asdict(order),
        "about": {"pin": pin.facts if pin else {}, **order.about},
    }
    with not_started():
        try:
            facts = conversation.ask("job_start", **asked).result
        except Unreachable:
            facts = contact.reopen().ask("job_start", **asked).result
        job = job_of(facts, contact.host.name)
        if job is None:
            raise ColabRemoteError(f"`{contact.host.name}` answered with something that is no job")
    try:
        folder = remember(job, project)
        if pin:
            pin.keep(folder)
    except OSError as error:
        raise ColabRemoteError(
            f"`{job.name}` runs on `{job.host}`, but cannot be kept in mind here: {error.strerror} on this laptop",
            f"free some space, then `colab-remote logs -f {job.id}` follows it",
        ) from error
    return job


@contextmanager
def not_started() -> Iterator[None]:
    """A failure inside means that no job began, which has a code of its own where nothing says more."""
    try:
        yield
    except ColabRemoteError as error:
        if error.exit_code != ColabRemoteError.exit_code:
            raise
        raise NotStarted(error.message, error.hint) from error


def follow(
    contact: Contact, conversation: Conversation | None, job: Job, show: Callable[[bytes], object], begin: int = 0
) -> Job:
    """Bring the log home until the job is over, handing it to `show` from byte `begin`; the job as it ended.

    Contact may break and come back meanwhile. Raises ContactLost when it was lost for good.
    """
    with LogCopy(remember(job), contact.say, begin) as copy:
        while True:
            try:
                return _read_on(conversation or contact.open_agent(), job, copy, show, on=True)
            except Unreachable:
                conversation = _again(contact, job)


def type_at(contact: Contact, job: Job) -> Exchange:
    """The way to a job's terminal: DATA sent there is typed, an EVENT of `rows` and `columns` is its size."""
    return contact.open_agent().start("job_keys", id=job.id)


def catch_up(conversation: Conversation, job: Job, say: Callable[[str], None]) -> Job:
    """Bring home what the log has grown by until now; the job as it is now."""
    with LogCopy(remember(job), say) as copy:
        return _read_on(conversation, job, copy, lambda piece: None, on=False)


def stop(conversation: Conversation, job: Job, grace: float) -> Job:
    """End the job, its whole process group, with SIGKILL after `grace` seconds; the job as it is then."""
    stopped = _heard(job, conversation.ask("job_stop", id=job.id, grace=grace).result)
    remember(stopped)
    return stopped


def _read_on(conversation: Conversation, job: Job, copy: LogCopy, show: Callable[[bytes], object], *, on: bool) -> Job:
    exchange = conversation.start("job_follow", id=job.id, offset=copy.offset, notes=copy.notes, on=on)
    for piece in exchange:
        if isinstance(piece, bytes):
            copy.add(piece)
            show(piece)
        else:
            copy.note(piece)
    job = _heard(job, exchange.result)
    with suppress(OSError):  # a full disk: the next command asks the runtime again
        remember(job)
    return job


def _again(contact: Contact, job: Job) -> Conversation:
    try:
        return contact.reopen()
    except ContactLost as lost:
        raise ContactLost(
            f"{lost.message}; `{job.name}` may still be running there",
            f"`colab-remote logs -f {job.id}` goes on where this stopped, once the host answers again",
        ) from None


def _heard(job: Job, facts: dict[str, Any]) -> Job:
    return job_of({**asdict(job), **facts}, job.host) or job
