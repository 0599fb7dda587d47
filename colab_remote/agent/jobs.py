"""Jobs as the agent sees them: start, list, follow, stop. All of them are found on disk, none is ours to keep."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from colab_remote.agent.following import Following
from colab_remote.agent.machine import recorded_environment, state_folder
from colab_remote.agent.serve import Call, Method
from colab_remote.agent.terminal import type_at
from colab_remote.both.jobrecord import ID, OVER, next_name, state
from colab_remote.both.processes import alive, boot_id, kill_session
from colab_remote.both.protocol import Refusal
from colab_remote.both.whole import NewerFormat, fits, read_json, write_json

_LOOK = 0.02  # seconds between two looks at a log that is followed
_BEGIN = 20.0  # seconds a job may take from its record to its first process
_NUMBER = (int, float)
# What each record of a job has; one that has not was not written by us, or not whole.
_SHAPES = {
    "job.json": {"id": str, "name": str, "asked": _NUMBER},
    "run.json": {"pid": int, "start": int, "runner": int, "runner_start": int, "boot": str, "started": _NUMBER},
    "exit.json": {"ended": _NUMBER},
    "vault.json": {"said": str},
}
_UNKNOWN = {"state": "lost"}  # its record went with its VM
_OF_SHELLS = ("BASH_ENV", "PROMPT_COMMAND")  # how `launch` gives login shells their PATH


def start(call: Call) -> dict[str, Any]:
    """Start `command` in `folder` as the job `id`, once however often it is asked; its facts.

    `name`, or `stem` and the numbers taken so far; `environment` reaches the job and nothing else, `about` its record.
    """
    asked = call.arguments
    folder = _jobs_folder() / _checked(asked["id"])
    if folder.exists():
        return _begun(folder)
    if not os.path.isdir(asked["folder"]):
        raise Refusal("not-started", f"`{asked['folder']}` is no folder on the runtime", "`colab-remote sync` makes it")
    name = asked["name"] or next_name(asked["stem"], [*asked["taken"], *(job["name"] for job in _all())])
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return _begun(folder)
    granted = recorded_environment("job_environment")
    # Behind a pipe Python holds back what it prints; whoever follows wants it now.
    environment = {"PYTHONUNBUFFERED": "1", **_lasting(os.environ), **granted, **asked["environment"]}
    record = asked["about"] | {key: asked[key] for key in ("id", "command", "project", "folder", "kind", "tty")}
    about = {"name": name, "environment": _digest(environment), "asked": time.time(), "boot": boot_id()}
    write_json(folder / "job.json", {**record, **about})
    _spawn(folder, environment)
    return _begun(folder)


def _digest(environment: Mapping[str, str]) -> str:
    """What tells one environment from another, and nothing of what it holds."""
    return hashlib.blake2b(json.dumps(environment, sort_keys=True).encode(), digest_size=16).hexdigest()


def _lasting(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what belongs to the connection, which a job outlives, and to shells.

    With SSH_CLIENT set, Debian's bash reads ~/.bashrc before a `-c` command, and PATH is whatever that makes of it.
    """
    return {
        name: value for name, value in environment.items() if not name.startswith("SSH_") and name not in _OF_SHELLS
    }


def jobs(call: Call) -> dict[str, Any]:
    """All jobs of this runtime, oldest first, as JSON in DATA: they may be more than a frame takes."""
    call.send([json.dumps(_all()).encode("ascii")])
    return {}


def follow(call: Call) -> dict[str, Any]:
    """A job's log from `offset` as DATA, until its end or, without `on`, until now; then the job's facts.

    An EVENT before the DATA has the notes of its times from the one of number `notes` on, and this machine's `now`.
    """
    folder = _jobs_folder() / _checked(call.arguments["id"])
    if not _record(folder / "job.json"):
        return _UNKNOWN
    with Following(folder, int(call.arguments["offset"]), int(call.arguments["notes"])) as following:
        over = _watch(folder) if call.arguments["on"] else iter([True])
        # The end is looked for before the log: what was written before the end is sent before it.
        for last in over:
            following.send(call)
            if last or call.cancelled(_LOOK):
                break
        return {**_facts(folder), "offset": following.offset}


def keys(call: Call) -> dict[str, Any]:
    """Type what follows at a job's terminal: DATA as it is, an EVENT is the new size of the window there."""
    folder = _jobs_folder() / _checked(call.arguments["id"])
    terminal = _record(folder / "run.json").get("terminal")
    if not terminal:
        raise Refusal("refused", "that job has no terminal", "`colab-remote run --tty` starts one that has")
    type_at(str(terminal), folder / "keys", call.frames())
    return {}


def stop(call: Call) -> dict[str, Any]:
    """End a job's whole process group: SIGTERM, `grace` seconds, SIGKILL; the job's facts when it is over."""
    folder = _jobs_folder() / _checked(call.arguments["id"])
    if not _record(folder / "job.json"):
        return _UNKNOWN
    grace = float(call.arguments["grace"])
    write_json(folder / "stop.json", {"grace": grace, "asked": time.time()})
    if not (folder / "exit.json").exists():
        _signal(folder)
    deadline = time.monotonic() + grace + _BEGIN
    for over in _watch(folder):
        _end_orphan(folder)
        if over or time.monotonic() > deadline or call.cancelled(_LOOK):
            break
    return _facts(folder)


def job_over(identity: str) -> bool:
    """Whether that job is over, or was never one of this runtime's."""
    return _facts(_jobs_folder() / _checked(identity))["state"] in OVER


def job_starts(folder: str) -> list[tuple[float, str]]:
    """When the jobs of that folder began, by this machine's clock, and their ids; earliest first."""
    return sorted((job["started"], job["id"]) for job in _all() if job.get("folder") == folder and job.get("started"))


def _watch(folder: Path) -> Iterator[bool]:
    """Whether the job is over, asked again and again: cheaply by its exit.json, by its processes once a second."""
    end, asked = folder / "exit.json", 0.0
    while True:
        gone = False
        if time.monotonic() - asked >= 1:
            asked, gone = time.monotonic(), _facts(folder)["state"] in OVER
        yield gone or end.exists()


def _signal(folder: Path) -> None:
    """Tell the runner, which goes on if we are cut off."""
    ran = _record(folder / "run.json")
    if ran and alive(ran["runner"], ran["runner_start"], ran["boot"]):
        os.kill(ran["runner"], signal.SIGTERM)


def _end_orphan(folder: Path) -> None:
    """End the group of a job whose runner is gone: nobody else will."""
    ran = _record(folder / "run.json")
    runner = ran and alive(ran["runner"], ran["runner_start"], ran["boot"])
    if ran and not runner and alive(ran["pid"], ran["start"], ran["boot"]):
        kill_session(ran["pid"])


def _spawn(folder: Path, environment: dict[str, str]) -> None:
    if sys.platform != "win32":  # which the runner is not for
        from colab_remote.agent.runner import begin

        begin(folder, environment)


def _begun(folder: Path) -> dict[str, Any]:
    """The facts of a job whose runner has begun, waiting for that where another call has just asked for it."""
    deadline = time.monotonic() + _BEGIN
    while not ((folder / "run.json").exists() or (folder / "exit.json").exists()):
        if time.monotonic() > deadline:
            raise Refusal("not-started", "the job's runner did not begin", "run it again")
        time.sleep(_LOOK)
    facts = _facts(folder)
    if "error" in facts:
        raise Refusal("not-started", f"the job could not be started: {facts['error']}")
    return facts


def _jobs_folder() -> Path:
    folder = state_folder() / "jobs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _checked(identity: Any) -> str:
    if not ID.fullmatch(str(identity)):
        raise Refusal("refused", f"`{identity}` is no job's id")
    return str(identity)


def _all() -> list[dict[str, Any]]:
    folders = sorted(folder for folder in _jobs_folder().iterdir() if ID.fullmatch(folder.name))
    return [facts for facts in map(_facts, folders) if "id" in facts]


def _facts(folder: Path) -> dict[str, Any]:
    """A job's records as one: what was asked, its state, when it ran and how it ended."""
    job, ran, ended = (_record(folder / name) for name in ("job.json", "run.json", "exit.json"))
    lives = not ended and _lives(job, ran)
    # Looked for again: a job that ends between two looks has ended, it is not lost.
    ended = ended or _record(folder / "exit.json")
    # Seconds by this machine's clock alone, which may be wrong.
    seconds = ended.get("ended", time.time()) - ran.get("started", job.get("asked", 0))
    vault = _record(folder / "vault.json").get("said", "")
    found = {"vault": vault, "state": state(ran, ended, lives), "seconds": seconds, "log_bytes": _size(folder / "log")}
    found["vm_lives"] = ran.get("boot", job.get("boot")) == boot_id()
    return {**job, "pid": ran.get("pid"), "started": ran.get("started"), **ended, **found}


def _lives(job: dict[str, Any], ran: dict[str, Any]) -> bool:
    if ran:
        runner = alive(ran["runner"], ran["runner_start"], ran["boot"])
        return runner or alive(ran["pid"], ran["start"], ran["boot"])
    return job.get("boot") == boot_id() and time.time() - float(job["asked"]) < _BEGIN


def _record(path: Path) -> dict[str, Any]:
    """What a job's record says; nothing where there is none, or a damaged one."""
    try:
        found = read_json(path)
    except NewerFormat as error:
        raise Refusal("failed", str(error), "install the newer colab-remote on this laptop") from None
    except (FileNotFoundError, ValueError):
        return {}
    return found if fits(found, _SHAPES[path.name]) else {}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


METHODS: dict[str, Method] = {
    "job_start": start,
    "job_list": jobs,
    "job_follow": follow,
    "job_keys": keys,
    "job_stop": stop,
}
