"""ngrok: a TCP address at their edge. pyngrok starts their agent, which carries what comes there to sshd."""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
from pyngrok import installer, ngrok, process
from pyngrok.conf import PyngrokConfig
from pyngrok.exception import PyngrokNgrokError, PyngrokNgrokHTTPError, PyngrokNgrokInstallError
from pyngrok.log import NgrokLog

from colab_remote.both.processes import alive, boot_id, started
from colab_remote.both.whole import read_json, write_json, write_whole
from colab_remote.errors import ColabRemoteError
from colab_remote.runtime.ending import end_tree
from colab_remote.runtime.secrets import TOKEN
from colab_remote.runtime.tunnels import Address, Plan, from_here
from colab_remote.runtime.tunnels.ngrok_codes import refusal

RECORD = "ngrok.json"
CONFIG = "ngrok.yml"
_ENDPOINT = "colab-remote"
_DOWNLOAD = 180  # seconds for the agent to arrive
_PATIENCE = 20  # seconds for it to start, or to answer
_RECONNECT = 30  # seconds in which it may bring back a session that it lost
_LOOK = 5  # seconds between two looks at its endpoints when its log is still

T = TypeVar("T")


class Ngrok:
    """A running agent and its one endpoint."""

    address: Address

    def __init__(self, plan: Plan) -> None:
        self.plan, self.config = plan, plan.state / CONFIG
        # pyngrok would put a token that it finds there into argv; the agent, prefer it to the one in its file.
        os.environ.pop(TOKEN, None)
        self.settings = PyngrokConfig(
            ngrok_path=os.environ.get("PYNGROK_NGROK_PATH") or shutil.which("ngrok"),
            config_path=str(self.config),
            region=plan.region,
            log_event_callback=self._heard,
            request_timeout=_PATIENCE,
            start_new_session=True,
        )
        self.session, self.refused, self.looked, self.up = True, False, 0.0, 0.0

    def open(self, port: int) -> None:
        """Start the agent, and the endpoint that leads to `port`. Raises ColabRemoteError."""
        path = Path(self.settings.ngrok_path)
        if not path.exists():
            self._within(_DOWNLOAD, lambda: _download(path))
        # A free port, so that another agent on this machine keeps its own.
        agent = {"authtoken": self.plan.token, "web_addr": f"127.0.0.1:{_free_port()}"}
        write_whole(self.config, json.dumps({"version": "3", "agent": agent}).encode())  # JSON is YAML
        with _silent_stderr():
            self.agent = self._within(_PATIENCE, lambda: _start(self.settings))
        self._note()
        host = from_here(self.plan.bind_host)
        upstream = {"url": f"[{host}]:{port}" if ":" in host else f"{host}:{port}"}
        wanted = {"name": _ENDPOINT, "url": "tcp://", "upstream": upstream}
        self.address = self._within(_PATIENCE, lambda: _address(self._ask("POST", wanted)))
        self.up = time.monotonic()

    def alive(self) -> bool:
        """Whether the agent runs and has its session, or may yet bring it back."""
        if self.refused or self.agent.proc.poll() is not None:
            return False
        if time.monotonic() - self.looked > _LOOK:
            self.looked = time.monotonic()
            self._look()
        return time.monotonic() - self.up < _RECONNECT

    def close(self) -> None:
        """End the agent; nothing of it stays."""
        self._note()
        end_leftover(self.plan.state)

    def _look(self) -> None:
        """Take in whether the endpoint is there, and its address: after a reconnect it may be another."""
        try:
            found = self._within(_PATIENCE, lambda: [_address(one) for one in self._ask("GET")["endpoints"]])
        except ColabRemoteError:
            return
        if found and self.session:
            self.address, self.up = found[0], time.monotonic()

    def _ask(self, method: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        return ngrok.api_request(f"{self.agent.api_url}/api/endpoints", method, data, timeout=_PATIENCE)

    def _heard(self, line: NgrokLog) -> None:
        """Take in a line of the agent's log, on a thread of pyngrok's."""
        said, failed = line.msg or "", line.lvl in ("ERROR", "CRITICAL")
        if "session established" in said:
            self.session, self.refused = True, False
        elif "session" in said and failed:
            self.session = False
            self.refused = self.refused or "ERR_NGROK_" in line.line
        self.looked = 0.0

    def _note(self) -> None:
        """Record the agent as soon as there is one: whoever comes after us ends it by that."""
        for child in psutil.Process().children():
            try:
                ours = str(self.config) in child.cmdline()
            except psutil.Error:
                continue
            if ours:
                record = {"pid": child.pid, "start": started(child.pid), "boot": boot_id()}
                write_json(self.plan.state / RECORD, record)

    def _within(self, seconds: float, call: Callable[[], T]) -> T:
        """What `call` returns. pyngrok may wait for ever: then the agent is ended. Raises ColabRemoteError."""
        answers: queue.SimpleQueue[T | Exception] = queue.SimpleQueue()
        threading.Thread(target=_answer, args=(call, answers), daemon=True).start()
        deadline = time.monotonic() + seconds
        while answers.empty() and time.monotonic() < deadline:
            time.sleep(0.02)
            if not (self.plan.state / RECORD).exists():
                self._note()
        late = answers.empty()
        if late:
            self.close()
        try:
            answer = answers.get(timeout=2)
        except queue.Empty:
            answer = TimeoutError()
        if not isinstance(answer, Exception):
            return answer
        raise _reason(answer, self.plan.token, seconds if late else None) from None


def open_tunnel(port: int, plan: Plan) -> Ngrok:
    """Open a TCP tunnel to `port`. Raises ProviderRefused where ngrok says no, else ColabRemoteError."""
    logger = logging.getLogger("pyngrok")  # the agent repeats the token in its log, and pyngrok repeats the log
    logger.handlers, logger.propagate = [logging.NullHandler()], False
    end_leftover(plan.state)
    tunnel = Ngrok(plan)
    try:
        tunnel.open(port)
    except BaseException:
        tunnel.close()
        raise
    return tunnel


def end_leftover(state: Path) -> None:
    """End the agent that is recorded in `state`, whoever started it, and no other."""
    try:
        record = read_json(state / RECORD)
        if alive(record["pid"], record["start"], record["boot"]):
            end_tree(record["pid"])
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        pass
    for name in (RECORD, CONFIG):
        (state / name).unlink(missing_ok=True)


def _answer(call: Callable[[], T], answers: queue.SimpleQueue[T | Exception]) -> None:
    try:
        answers.put(call())
    except Exception as error:
        answers.put(error)


def _reason(error: Exception, token: str, waited: float | None) -> ColabRemoteError:
    """What pyngrok's error, or the agent's silence of `waited` seconds, means."""
    if isinstance(error, PyngrokNgrokInstallError):
        return ColabRemoteError(
            f"ngrok's agent cannot be downloaded: {error.__context__ or error}",
            "launch again; or put the agent on PATH as `ngrok` yourself: https://ngrok.com/download",
        )
    said = [str(error)]
    if isinstance(error, PyngrokNgrokHTTPError):
        said.append(error.body)
    if isinstance(error, PyngrokNgrokError):
        said = [error.ngrok_error or "", *said, *(line.line for line in error.ngrok_logs)]
    coded = next((text for text in said if "ERR_NGROK_" in text), "")
    if waited and not coded:
        return ColabRemoteError(
            f"ngrok's agent does not get anywhere in {waited:.0f} s",
            "launch again; if that does not help, see whether this machine reaches https://status.ngrok.com",
        )
    return refusal(coded or next(filter(None, said), ""), token)


def _start(settings: PyngrokConfig) -> process.NgrokProcess:
    try:
        return process.get_process(settings)
    finally:
        # pyngrok keeps every agent it ever started for this, with its pipe; we end ours ourselves.
        atexit.unregister(process._terminate_process)


def _address(endpoint: dict[str, Any]) -> Address:
    """Where an endpoint can be reached; what ngrok says is data."""
    url = endpoint.get("public_url") or endpoint["url"]
    found = re.fullmatch(r"tcp://([A-Za-z0-9][A-Za-z0-9.-]*):([0-9]{1,5})", url)
    if not found:
        raise ValueError(f"{url!r} is no TCP address")
    return Address("ssh", found[1], int(found[2]))


def _download(path: Path) -> None:
    """pyngrok's download, put at `path` whole; its archive lies where nobody else can reach it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        tempfile.tempdir = folder
        try:
            installer.install_ngrok(f"{folder}/ngrok", timeout=_PATIENCE)
        finally:
            tempfile.tempdir = None
        os.replace(f"{folder}/ngrok", path)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """What starts in here has no stderr: the agent repeats the token there, and ours is a log."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        for handle in (kept, nowhere):
            os.close(handle)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
