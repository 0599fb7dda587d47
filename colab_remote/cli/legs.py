"""A training's legs: one that runs is gone on with, a new one begun, a host that is lost waited for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from colab_remote.cli.following import began
from colab_remote.cli.output import output, visible
from colab_remote.cli.starting import Wish
from colab_remote.cli.syncing import bring_up_to_date
from colab_remote.cli.tables import checkpoint_line
from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.laptop.contact import Contact, wait_for
from colab_remote.laptop.conversation import Conversation
from colab_remote.laptop.history import Job
from colab_remote.laptop.home import Checkpoint, Home
from colab_remote.laptop.hosts import Host
from colab_remote.laptop.jobs import Order, not_started, start
from colab_remote.laptop.pin import pin_of
from colab_remote.laptop.project import Project, work_folder
from colab_remote.laptop.training import (
    leg_after,
    send_checkpoint,
    set_up,
    to_vault,
    train_command,
    under_way,
)


@dataclass(frozen=True, slots=True)
class Leg:
    """A training that is asked for: `anew` or from a checkpoint; `lenient`: anew too where there is none."""

    project: Project
    arguments: Sequence[str]
    wish: Wish
    anew: bool
    lenient: bool = False


def job_to_follow(made: Contact, leg: Leg, before: Job | None) -> Job:
    """The training that runs already, where it is to be gone on with, else a new job. Raises what starting one does."""
    conversation = made.open_agent()
    running = None if leg.anew else under_way(conversation, leg.project, made.host, before)
    if running:
        output().say(visible(f"job      {running.name} is there already, and is followed"))
        return running
    job = _started(made, conversation, leg)
    if not leg.wish.detach:
        began(job, leg.wish.stop_on_interrupt)
    return job


def once_back(host: Host, error: ColabRemoteError) -> Host:
    """The host of that name once it answers again, under its old ticket or a new one."""
    say = output().say
    say(visible(f"lost     {error.message}"))
    say(f"waiting  for `{host.name}`: run its cell, then `connect` the ticket as `{host.name}`; it resumes by itself")
    found = wait_for(host.name)
    say(f"back     `{host.name}` answers")
    return found


def _started(made: Contact, conversation: Conversation, leg: Leg) -> Job:
    """A new job, after a sync, with its checkpoint and its set-up in place."""
    project, host = leg.project, made.host
    with not_started():
        report = bring_up_to_date(project, conversation, host)
        if leg.anew:
            _warn_of_checkpoints(project)
        checkpoint = None if leg.anew else _resumed(conversation, leg, host)
        command = train_command(project, leg.arguments, checkpoint.path if checkpoint else None)
        if set_up(made, conversation, project, sys.stderr.buffer.write):
            output().say("setup    done")
    order = Order(
        command,
        work_folder(host, project),
        project.name,
        leg.wish.name,
        kind="train",
        project=project.id,
        environment=leg.wish.environment,
        about={**leg_after(checkpoint), **to_vault(project)},
    )
    return start(made, conversation, order, project.root, pin_of(project.root, report.agreed.tree))


def _warn_of_checkpoints(project: Project) -> None:
    """Say that a run begins anew where that may be an oversight."""
    lying = Home(project).checkpoints()
    if lying:
        output().say(visible(f"note     begins anew though `{lying[-1].path}` lies here: `--resume` goes on from it"))


def _resumed(conversation: Conversation, leg: Leg, host: Host) -> Checkpoint | None:
    """The checkpoint to go on from, there too. Raises Refused where there is none, unless lenient."""
    try:
        found = send_checkpoint(conversation, leg.project, host, output().say)
    except Refused:
        if not leg.lenient:
            raise
        output().say("resume   no checkpoint has come home yet: it begins anew")
        return None
    output().say(visible(f"resume   {checkpoint_line(found)}"))
    return found
