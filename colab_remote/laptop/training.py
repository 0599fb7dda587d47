"""A training on the runtime, seen from home: up to date, set up, started, its outputs brought home meanwhile."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from colab_remote.both.digest import digest_of
from colab_remote.errors import NotStarted, Refused, Unreachable
from colab_remote.laptop.contact import Contact
from colab_remote.laptop.conversation import Conversation
from colab_remote.laptop.history import Job, all_known, job_of
from colab_remote.laptop.home import Arrival, Checkpoint, Home, Unplaced
from colab_remote.laptop.hosts import Host
from colab_remote.laptop.jobs import Order, follow, start
from colab_remote.laptop.meter import Allowance
from colab_remote.laptop.outputs import Moving, NoRoom, bring_home
from colab_remote.laptop.project import Project, work_folder

Coming = Arrival | Unplaced
Bring = Callable[[Conversation], Iterator[Coming]]  # outputs that come home in a conversation

_WAIT = 20.0  # seconds for which the runtime holds a listing that has nothing new
_FULL = 15.0  # seconds between attempts while this laptop's disk is full,
_ATTEMPTS = 2  # of which so many are made after the job's end


def train_command(project: Project, arguments: Sequence[str], checkpoint: str | None) -> str:
    """The shell line that trains, or resumes from `checkpoint`, with `arguments` appended. Raises Refused."""
    key, line = ("resume", project.resume) if checkpoint else ("train", project.train)
    if not line:
        raise Refused(
            f"`{project.name}` does not say how to {key}", f'write {key} = "..." under [project] in colab-remote.toml'
        )
    if checkpoint and "{checkpoint}" not in line:
        raise Refused("`resume` has no `{checkpoint}` in it", "say in colab-remote.toml where the checkpoint belongs")
    line = line.replace("{checkpoint}", shlex.quote(checkpoint or ""))
    return f"{line} {shlex.join(arguments)}" if arguments else line


def set_up(contact: Contact, conversation: Conversation, project: Project, show: Callable[[bytes], object]) -> bool:
    """Run the project's `setup` where this runtime has not seen it yet; whether it ran. Raises NotStarted."""
    folder = work_folder(contact.host, project)
    digest = _setup_digest(project)
    if not project.setup or not conversation.ask("setup_needed", folder=folder, digest=digest).result["needed"]:
        return False
    order = Order(project.setup, folder, f"{project.name}-setup", kind="setup", project=project.id)
    job = follow(contact, conversation, start(contact, conversation, order, project.root), show)
    if job.exit_code:
        raise NotStarted(
            f"`setup` ended with {job.exit_code}: `{project.setup}`", "what it printed is above; training did not begin"
        )
    contact.open_agent().ask("setup_done", folder=folder, digest=digest)
    return True


def send_checkpoint(
    conversation: Conversation, project: Project, host: Host, say: Callable[[str], object]
) -> Checkpoint:
    """The newest whole checkpoint, on the runtime as well when this returns. Raises Refused where there is none."""
    folder = work_folder(host, project)
    # What a job left there while nobody followed it is newer than what is here.
    for coming in bring_home(conversation, project, folder, say=say):
        if isinstance(coming, Unplaced):
            say(f"home     {coming.path} stays there: {coming.reason}")
    home = Home(project)
    kept = _in_vault(conversation, project, folder)
    found = max([*home.checkpoints(), *kept], key=lambda checkpoint: checkpoint.rank, default=None)
    if found is None:
        raise Refused(f"`{project.name}` has no whole checkpoint at home", "train without --resume")
    if found in kept:
        conversation.ask("vault_take", folder=folder, vault=project.vault, project=project.id)
        return found
    for path in found.files:
        place = project.root / path
        if conversation.ask("output_has", folder=folder, path=path).result["whole"] != digest_of(place.resolve()):
            with place.open("rb") as file:
                facts = place.stat()
                conversation.prepare_for(facts.st_size)
                pieces = iter(lambda: file.read(1 << 18), b"")
                asked = {"folder": folder, "path": path, "mtime_ns": facts.st_mtime_ns}
                home.sent(path, int(conversation.ask("output_put", pieces, **asked).result["inode"]))
    return found


def _in_vault(conversation: Conversation, project: Project, folder: str) -> list[Checkpoint]:
    """The checkpoint in the project's vault, where that folder is there and has one."""
    if not project.vault:
        return []
    notes = conversation.ask("vault_note", folder=folder, vault=project.vault, project=project.id).listing()
    return [
        Checkpoint(str(note["path"]), tuple(note["files"]), str(note["job"]), float(note["written"]), 0.0)
        for note in notes
    ]


class Left(NamedTuple):
    """What of a job stays on the runtime.

    `rows`: what no rule brings, the largest first, each a top entry of the project, its files and their bytes; `links`:
    outputs that lead out of the project.
    """

    rows: list[tuple[str, int, int]]
    links: list[str]


def left_there(conversation: Conversation, project: Project, job: Job) -> Left:
    """What of a job does not come home."""
    outputs = [*project.outputs, *project.checkpoints]
    said = conversation.ask("output_left", folder=job.folder, job=job.id, outputs=outputs).result
    rows = [(str(name), int(files), int(size)) for name, files, size in said["left"]]
    return Left(rows, [str(path) for path in said["links"]])


def to_vault(project: Project) -> dict[str, Any]:
    """What a job's runner has to know to keep the newest checkpoint in the project's vault."""
    if not project.vault:
        return {}
    patterns = {"outputs": project.outputs, "checkpoints": project.checkpoints}
    return {"to_vault": {"folder": project.vault, **patterns}}


def under_way(conversation: Conversation, project: Project, host: Host, before: Job | None) -> Job | None:
    """The training to go on with on that host: `before` as long as its record is there, else one that still runs."""
    facts = conversation.ask("job_list").listing()
    there = [job for job in (job_of(each, host.name) for each in facts) if job and job.project == project.id]
    same = [job for job in there if before and job.id == before.id and job.state != "lost"]
    running = [job for job in there if job.kind == "train" and not job.over]
    return next(reversed(same or running), None)


def leg_after(checkpoint: Checkpoint | None) -> dict[str, Any]:
    """What a job that resumes from `checkpoint` is to its run, by the names of Job."""
    if checkpoint is None:
        return {}
    before = next((job for job in all_known() if job.id == checkpoint.job), None)
    joins = {"first": before.run, "leg": before.leg + 1} if before else {}
    return {"checkpoint": checkpoint.path, **joins}


@contextmanager
def mirrored(contact: Contact, bring: Bring, tell: Callable[[Coming], None]) -> Iterator[Future[NoRoom | None]]:
    """Bring a job's outputs home in a thread of its own; the future is done when all that it made is here.

    Or when what is left has no room: it then says so.
    """
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(_mirror, contact, bring, tell)
        except BaseException:
            contact.end()
            raise


def outputs_of(project: Project, job: Job, rest: Allowance, moving: Moving, say: Callable[[str], object]) -> Bring:
    """What brings that job's outputs home until it is over, as far as the `rest` of a budget goes."""
    return lambda talk: bring_home(talk, project, job.folder, job.id, _WAIT, rest=rest, moving=moving, say=say)


def _mirror(contact: Contact, bring: Bring, tell: Callable[[Coming], None]) -> NoRoom | None:
    conversation: Conversation | None = None
    attempts = _ATTEMPTS
    while True:
        try:
            conversation = conversation or contact.open_agent()
            for coming in bring(conversation):
                tell(coming)
            return None
        except Unreachable:
            conversation = contact.reopen()
        except NoRoom as full:
            attempts -= full.over
            if not attempts:
                return full
            contact.say(f"home     {full.message}")
            if contact.ended(_FULL):
                return full


def _setup_digest(project: Project) -> str:
    """What the set-up is made of: its text, and the project's files that it names, such as requirements.txt."""
    digest = hashlib.blake2b((project.setup or "").encode(), digest_size=16)
    for word in (project.setup or "").split():
        path = project.root / word.strip("'\"")
        if path.is_file():
            digest.update(Path(path).read_bytes())
    return digest.hexdigest()
