"""ngrok's agent as a process: it arrives, starts, answers in time and ends, all of it by way of pyngrok."""

from __future__ import annotations

import atexit
import json
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
from pyngrok import installer, process
from pyngrok.conf import PyngrokConfig

from colab_remote.both.processes import alive, boot_id, started
from colab_remote.both.whole import read_json, write_json, write_whole
from colab_remote.runtime.ending import end_tree
from colab_remote.runtime.tunnels import Plan, free_port
from colab_remote.runtime.tunnels.ngrok_codes import reason

CONFIG = "ngrok.yml"
RECORD = "ngrok.json"
PATIENCE = 20  # seconds for the agent to start, or to answer
_DOWNLOAD = 180  # seconds for it to arrive

T = TypeVar("T")


def start_agent(plan: Plan, settings: PyngrokConfig) -> process.NgrokProcess:
    """A running agent with a session of its account, downloaded where it is missing. Raises ColabRemoteError."""
    path = Path(settings.ngrok_path)
    if not path.exists():
        within(_DOWNLOAD, plan, lambda: _download(path))
    # A free port, so that another agent on this machine keeps its own.
    agent = {"authtoken": plan.token, "web_addr": f"127.0.0.1:{free_port()}"}
    write_whole(plan.state / CONFIG, json.dumps({"version": "3", "agent": agent}).encode())  # JSON is YAML
    with _no_stderr():
        running = within(PATIENCE, plan, lambda: _start(settings))
    _note(plan.state)
    return running


def end_agent(state: Path) -> None:
    """End the agent of this state folder, started here or left over by somebody who was killed, and no other."""
    _note(state)
    try:
        record = read_json(state / RECORD)
        if alive(record["pid"], record["start"], record["boot"]):
            end_tree(record["pid"])
    except (OSError, KeyError, ValueError):
        pass
    for name in (RECORD, CONFIG):
        (state / name).unlink(missing_ok=True)


def within(seconds: float, plan: Plan, call: Callable[[], T]) -> T:
    """What `call` returns. pyngrok may wait for ever: then the agent is ended. Raises ColabRemoteError."""
    answers: queue.SimpleQueue[T | Exception] = queue.SimpleQueue()
    threading.Thread(target=_answer, args=(call, answers), daemon=True).start()
    deadline = time.monotonic() + seconds
    while answers.empty() and time.monotonic() < deadline:
        time.sleep(0.02)
        if not (plan.state / RECORD).exists() and _note(plan.state):
            plan.begun()
    late = answers.empty()
    if late:
        end_agent(plan.state)
    try:
        answer = answers.get(timeout=2)
    except queue.Empty:
        answer = TimeoutError()
    if isinstance(answer, Exception):
        raise reason(answer, plan.token, seconds if late else None)
    return answer


def _answer(call: Callable[[], T], answers: queue.SimpleQueue[T | Exception]) -> None:
    try:
        answers.put(call())
    except Exception as error:
        answers.put(error)


def _start(settings: PyngrokConfig) -> process.NgrokProcess:
    try:
        return process.get_process(settings)
    finally:
        # pyngrok keeps every agent it ever started for this, with its pipe; we end ours ourselves.
        atexit.unregister(process._terminate_process)


def _note(state: Path) -> bool:
    """Record the agent as soon as there is one: whoever comes after us ends it by that. Whether there is."""
    for child in psutil.Process().children():
        try:
            ours = str(state / CONFIG) in child.cmdline()
        except psutil.Error:
            continue
        if ours:
            write_json(state / RECORD, {"pid": child.pid, "start": started(child.pid), "boot": boot_id()})
            return True
    return False


def _download(path: Path) -> None:
    """pyngrok's download, put at `path` whole; its archive lies where nobody else can reach it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        tempfile.tempdir = folder
        try:
            installer.install_ngrok(f"{folder}/ngrok", timeout=PATIENCE)
        finally:
            tempfile.tempdir = None
        os.replace(f"{folder}/ngrok", path)


@contextmanager
def _no_stderr() -> Iterator[None]:
    """What starts in here has no stderr: the agent repeats the token there, and ours is a log."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        for handle in (kept, nowhere):
            os.close(handle)
