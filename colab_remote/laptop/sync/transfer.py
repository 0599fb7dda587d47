"""Carry a plan out over one conversation: what goes up and what comes down are asked for at once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from colab_remote.both.arrive import apply
from colab_remote.both.pieces import Pieces
from colab_remote.both.records import Step, in_order, pack_requests, pack_steps, unpack_requests
from colab_remote.both.scan import Listing, unpack_listing
from colab_remote.errors import ColabRemoteError
from colab_remote.laptop.conversation import Conversation, Exchange
from colab_remote.laptop.project import Project

MISSING = "did not arrive"
_LONGEST = 1 << 24  # bytes of one line of a listing
_ID = re.compile(r"[0-9a-f]{32}")


class Far(NamedTuple):
    """The runtime's side: its folder and what is in it. `mark` says whose it is, `free` bytes fit on its disk.

    `edited`: an editor that was asked about runs there.
    """

    folder: str
    listing: Listing
    mark: dict[str, str]
    occupied: bool
    free: int
    edited: bool = False


@dataclass(slots=True)
class Transferred:
    """What came of a plan: problems by path, for each side."""

    up: dict[str, str] = field(default_factory=dict)
    down: dict[str, str] = field(default_factory=dict)


def look(project: Project, conversation: Conversation, folder: str) -> Exchange:
    """Ask what is in the runtime's folder; `seen` reads the answer."""
    return conversation.start("files_look", folder=folder, exclude=project.exclude, outputs=project.outputs)


def watch_far(project: Project, conversation: Conversation, folder: str, editors: Sequence[str]) -> Exchange:
    """Ask what is in the runtime's folder as soon as that is not what was last told; `seen` reads the answer.

    Ask, too, whether something runs there from a folder called as one of `editors`.
    """
    return conversation.start(
        "files_watch", folder=folder, exclude=project.exclude, outputs=project.outputs, editors=editors
    )


def seen(exchange: Exchange, folder: str, host: str, before: Listing | None = None) -> Far:
    """The answer of `look`, or of `watch_far` after `before`. Raises ColabRemoteError for one that makes no sense."""
    try:
        listing = unpack_listing(Pieces(_data(exchange)).lines(_LONGEST), before)
        said = exchange.result
        mark = {name: str(value) for name, value in said["mark"].items() if value is not None}
        if mark and not _ID.fullmatch(mark.get("disk") or mark["begun"]):
            raise ValueError("its mark names no disk")
        return Far(folder, listing, mark, bool(said["occupied"]), int(said["free"]), bool(said.get("edited")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ColabRemoteError(
            f"`{host}` described `{folder}` in a way that makes no sense: {error}",
            "exclude what is not needed there: `exclude` in colab-remote.toml",
        ) from None


def transfer(
    project: Project,
    conversation: Conversation,
    far: Far,
    up: tuple[Step, ...],
    down: tuple[Step, ...],
    mark: dict[str, str],
    tell: Callable[[int], None],
    bits: bool,
) -> Transferred:
    """Make all steps, telling of bytes as they pass, and leave `mark` there. Raises Unreachable.

    `bits`: this laptop's disk knows executable files.
    """
    root = os.fspath(project.root)
    push = pull = None
    if up or mark != far.mark:
        conversation.prepare_for(sum(step.length for step in up))
        body = _told(pack_steps(root, in_order(up), _digests_there(conversation, far.folder, up)), tell)
        push = conversation.start("files_take", body, folder=far.folder, mark=mark)
    if down:
        pull = conversation.start("files_give", pack_requests(in_order(down), root), folder=far.folder)
    done = Transferred()
    if push is not None:
        done.up = {str(path): str(reason) for path, reason in json.loads(b"".join(_data(push))).items()}
    if pull is not None:
        done.down = _arrived(root, pull, down, tell, bits, conversation.host)
    return done


def _digests_there(conversation: Conversation, folder: str, up: tuple[Step, ...]) -> dict[str, bytes]:
    """The digests of the blocks of large files that are to change, by path, so that only what is new goes up."""
    large = {step.path: step for step in up if step.patchable}
    if not large:
        return {}
    answer = conversation.start("files_blocks", pack_requests(large.values()), folder=folder)
    try:
        found = list(unpack_requests(_data(answer)))
    except ValueError as error:
        raise ColabRemoteError(f"`{conversation.host}` sent what nobody asked for: {error}", "sync again") from None
    return {step.path: digests for step, digests in found if large.get(step.path) == step}


def _arrived(
    root: str, pull: Exchange, down: tuple[Step, ...], tell: Callable[[int], None], bits: bool, host: str
) -> dict[str, str]:
    """Make the steps that arrive; each must be one that was asked for, so that a runtime decides about no path."""
    expected = {step.path: step for step in down}
    try:
        outcome = apply(root, _data(pull), lambda step: expected.get(step.path) == step, tell, bits)
    except ValueError as error:
        raise ColabRemoteError(f"`{host}` sent what nobody asked for: {error}", "sync again") from None
    missing = expected.keys() - outcome.problems.keys() - set(outcome.done)
    return {**dict.fromkeys(missing, MISSING), **outcome.problems}


def _data(exchange: Exchange) -> Iterator[bytes]:
    return (piece for piece in exchange if isinstance(piece, bytes))


def _told(pieces: Iterator[bytes], tell: Callable[[int], None]) -> Iterator[bytes]:
    for piece in pieces:
        tell(len(piece))
        yield piece
