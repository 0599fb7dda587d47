"""A job followed while its outputs come home, and what is said of them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import NoReturn

from colab_remote.cli.following import ended
from colab_remote.cli.metering import month_line, waiting_lines
from colab_remote.cli.output import output, visible
from colab_remote.cli.panel import watched
from colab_remote.cli.tables import amount, checkpoint_line, columns
from colab_remote.errors import ColabRemoteError, ContactLost, Unreachable
from colab_remote.laptop.contact import Contact
from colab_remote.laptop.history import Job
from colab_remote.laptop.home import Arrival, Home, Unplaced
from colab_remote.laptop.jobs import follow
from colab_remote.laptop.meter import allowance
from colab_remote.laptop.project import Project
from colab_remote.laptop.training import Bring, Coming, Left, left_there, mirrored, outputs_of

_PAUSE = 2.0  # seconds between two looks for outputs of which no job tells


def see_through(made: Contact, project: Project, job: Job, begin: int) -> int:
    """Follow the log from byte `begin` and bring outputs home until both are complete; the job's exit code."""
    arrivals: list[Arrival] = []
    stays: dict[str, str] = {}
    rest = allowance(project.budget, made.host)
    shown = output()  # asked for here: the mirror's thread has no click context

    def tell(arrival: Coming) -> None:
        if isinstance(arrival, Unplaced):
            stays[arrival.path] = arrival.reason
            shown.say(visible(_stays(arrival)))
            return
        arrivals.append(arrival)
        if shown.json:
            shown.report({"home": asdict(arrival)}, ())
        if arrival.kept or (arrival.checkpoint and not panel.live):
            shown.say(visible(arrival_line(arrival)))
        panel.arrived(arrival)

    try:
        with (
            watched(project.root) as panel,
            mirrored(made, outputs_of(project, job, rest, panel.moving, shown.say), tell) as mirror,
        ):
            job = follow(made, None, job, panel.log, begin)
            full = mirror.result()
        if job.state == "lost":
            return ended(job)
    except ContactLost:
        shown.say(visible(_last_at_home(project)))
        raise
    lines = [
        *([] if rest.waiting and not arrivals else [_summary(project, arrivals)]),
        *([f"vault    {job.vault}"] if job.vault else ()),
        *_left(project, left_there(made.open_agent(), project, job)),
        *waiting_lines(rest, made.host),
        month_line(made.host, project.budget),
    ]
    shown.say(visible("\n".join(lines)))
    failure = full or (unplaced(stays) if stays else None)
    code = ended(job)
    if failure and not code:
        raise failure
    if failure:
        shown.say(visible(failure.message))
    return code


def keep_pulling(made: Contact, bring: Bring) -> NoReturn:
    """Bring outputs home as they are made, and tell of each, until Ctrl-C. Raises ContactLost."""
    told: set[str] = set()
    conversation = made.open_agent()
    while True:
        try:
            for coming in bring(conversation):
                if isinstance(coming, Arrival):
                    output().report({"home": asdict(coming)}, [visible(arrival_line(coming))])
                elif coming.path not in told:
                    told.add(coming.path)
                    output().say(visible(_stays(coming)))
            time.sleep(_PAUSE)
        except Unreachable:
            conversation = made.reopen()


def _stays(output: Unplaced) -> str:
    return f"home     {output.path} stays there: {output.reason}"


def unplaced(stays: Mapping[str, str]) -> ColabRemoteError:
    """The error that names the outputs which could not come home, each with its reason."""
    count = "1 output" if len(stays) == 1 else f"{len(stays)} outputs"
    named = columns([(f"  {path}", reason) for path, reason in stays.items()])
    message = "\n".join([f"{count} could not come home; the others did", *named])
    return ColabRemoteError(message, "mend that, then `colab-remote pull`")


def arrival_line(arrival: Arrival) -> str:
    """`home     saved/run/step-2.pt  12.6 MB`, and where the one went that lay there."""
    kept = f" · the older one is kept as {arrival.kept}" if arrival.kept else ""
    return f"home     {arrival.path}  {amount(arrival.size)}{kept}"


def _left(project: Project, left: Left) -> list[str]:
    """Name what stays on the runtime, and what would bring it home."""
    lines = [
        f"left     {name}  {amount(size)}{f' in {files} files' if files > 1 else ''}" for name, files, size in left.rows
    ]
    if left.rows:
        wanted = json.dumps([*project.outputs, *(name for name, _, _ in left.rows)], ensure_ascii=False)
        lines += [f"hint: no rule brings that home: `outputs = {wanted}` under [project] in colab-remote.toml does"]
    if left.links:
        lines += [f"left     {path}, a link out of the project there: nothing follows it" for path in left.links]
        lines += ["hint: what a folder in its place holds comes home; `vault` keeps checkpoints on a Drive as well"]
    return lines


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
