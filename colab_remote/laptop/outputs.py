"""Outputs come home: listed by the runtime, brought here one by one, the most urgent first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from colab_remote.both.arrive import UNWRITABLE
from colab_remote.both.digest import digest_of
from colab_remote.both.whole import FULL_DISK
from colab_remote.errors import ColabRemoteError, Unreachable
from colab_remote.laptop.conversation import NO_LISTING, Conversation
from colab_remote.laptop.home import SMALL, Arrival, Home, Output, Unplaced
from colab_remote.laptop.lock import holder
from colab_remote.laptop.meter import Allowance
from colab_remote.laptop.project import Project

_TURN = 0.3  # seconds after which a command that waits for another one looks again
Moving = Callable[[Output, int], object]  # hears of an output on its way, and how many of its bytes are here


@dataclass(frozen=True, slots=True)
class Listing:
    """What may travel, whether the job is over, and a digest of what may travel."""

    outputs: list[Output]
    over: bool
    digest: str


class NoRoom(ColabRemoteError):
    """This laptop's disk is full; `over` says whether the job has ended that makes the outputs."""

    def __init__(self, over: bool) -> None:
        super().__init__(
            "this laptop's disk is full, and outputs wait on the runtime",
            "free some space, then `colab-remote pull` brings the rest",
        )
        self.over = over


class Changed(ColabRemoteError):
    """An output was written anew or removed while it travelled; a later listing knows."""


def list_outputs(
    conversation: Conversation, project: Project, folder: str, *, job: str = "", wait: float = 0.0, known: str = ""
) -> Listing:
    """The outputs that may travel: now, or within `wait` seconds when they differ from the listing `known`."""
    patterns: dict[str, Any] = {"outputs": project.outputs, "checkpoints": project.checkpoints}
    reply = conversation.ask("output_list", folder=folder, job=job, wait=wait, known=known, **patterns)
    names = [field.name for field in fields(Output)]
    try:
        outputs = [Output(**{name: entry[name] for name in names}) for entry in reply.listing()]
    except (KeyError, TypeError):
        raise ColabRemoteError(NO_LISTING) from None
    return Listing(outputs, bool(reply.result["over"]), reply.result["listing"])


def bring_home(
    conversation: Conversation,
    project: Project,
    folder: str,
    job: str = "",
    wait: float = 0.0,
    everything: bool = False,
    rest: Allowance | None = None,
    moving: Moving = lambda output, here: None,
    say: Callable[[str], object] = lambda text: None,
) -> Iterator[Arrival | Unplaced]:
    """Bring outputs home, the most urgent first; with a `job`, until it is over and all that it made is here.

    Of checkpoints the newest and the best, as `keep` says, or `everything`. What is more than the `rest` of a budget
    waits, and is named there. One command at a time brings a project's outputs: `say` hears whom another waits for.
    One that cannot lie here holds up no other, and is not tried again. Raises NoRoom.
    """
    home, known, rest = Home(project), "", rest or Allowance()
    stays: set[Output] = set()
    told = False
    while True:
        listing = list_outputs(conversation, project, folder, job=job, wait=wait if known else 0.0, known=known)
        try:
            with home.record.turn() as ours:
                fetched = _fetched_all(home, conversation, folder, listing.outputs, everything, rest, moving, stays)
                complete = ours and (yield from fetched)
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
            raise NoRoom(listing.over) from error
        if complete and (listing.over or not job):
            return
        known = listing.digest if complete else ""
        if not ours:
            if not told:
                other = holder(home.record.lock)
                say(f"home     another command brings this project's outputs, and goes first: {other}")
            told = True
            time.sleep(_TURN)


def _fetched_all(
    home: Home,
    conversation: Conversation,
    folder: str,
    outputs: Sequence[Output],
    everything: bool,
    rest: Allowance,
    moving: Moving,
    stays: set[Output],
) -> Generator[Arrival | Unplaced, None, bool]:
    """Bring what is missing of the `outputs`; whether that is all there is, as far as they tell.

    What cannot come is added to what `stays`.
    """
    complete = True
    home.sweep(outputs)
    for output in home.missing(outputs, everything):
        if output in stays:
            continue
        try:
            partial = home.begin(output)
            here = _size(partial)
            if rest.left is not None and not rest.admits(output.path, output.size - here, home.together(output) - here):
                continue
            arrived = _fetched(home, conversation, folder, output, partial, moving)
            yield from arrived
        except Changed:
            complete = False
        except (ColabRemoteError, OSError) as error:
            reason = _reason(error)
            stays.add(output)
            yield Unplaced(output.path, reason)
        else:
            if not everything and any(each.checkpoint for each in arrived):
                with suppress(OSError):  # it only makes room
                    home.prune(output.job)
        if output.size > SMALL:
            return False  # it took a while: something more urgent may be there by now
    return complete


def _fetched(
    home: Home, conversation: Conversation, folder: str, output: Output, partial: Path, moving: Moving
) -> list[Arrival]:
    """Bring one output home, going on where an earlier attempt was cut off; what is in its place for it.

    Raises Changed, Refused, OSError.
    """
    whole = _receive(conversation, folder, output, partial, moving)
    if digest_of(partial) != whole:
        partial.unlink()
        raise Unreachable(f"`{output.path}` arrived damaged", "run it again")
    return home.arrive(output, partial, whole)


def _receive(conversation: Conversation, folder: str, output: Output, partial: Path, moving: Moving) -> str:
    """Append what is missing in `partial`; the digest that the whole must have. Raises Changed."""
    have = _size(partial)
    asked: dict[str, Any] = {
        "path": output.path,
        "size": output.size,
        "mtime_ns": output.mtime_ns,
        "inode": output.inode,
        "offset": have,
        "digest": digest_of(partial) if have else "",
    }
    exchange = conversation.start("output_send", folder=folder, **asked)
    with partial.open("ab") as file:
        for piece in exchange:
            if isinstance(piece, dict):
                file.truncate(int(piece["offset"]))
            else:
                file.write(piece)
                moving(output, file.tell())
        file.flush()
        os.fsync(file.fileno())
    if exchange.result["changed"]:
        partial.unlink()
        raise Changed(f"`{output.path}` changed on its way")
    return str(exchange.result["whole"])


def _reason(error: ColabRemoteError | OSError) -> str:
    """Why an output cannot come. Raises the error again where it is not about this one alone."""
    if isinstance(error, Unreachable) or (isinstance(error, OSError) and error.errno in FULL_DISK):
        raise error
    return error.message if isinstance(error, ColabRemoteError) else f"{UNWRITABLE}: {error.strerror}"


def _size(partial: Path) -> int:
    return partial.stat().st_size if partial.exists() else 0
