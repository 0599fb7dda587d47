"""One job's companion: starts the command, writes its log, records its end. Outlives agent, sshd and laptop."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from colab_remote.both.jobrecord import GRACE
from colab_remote.both.processes import boot_id, kill_group, signal_group, started
from colab_remote.both.whole import read_json, write_json

assert sys.platform != "win32"  # runs on the runtime, which is Linux

_LINGER = 2.0  # seconds that the rest of an ended job's group gets to end by itself
_NEVER = float("inf")
_STAMP = 0.1  # seconds between two notes of the time in `times`


def main(folder: str) -> None:
    """Detach from the caller, who waits for the end of our stdout; stdin holds the job's environment as JSON."""
    environment = json.load(sys.stdin.buffer)
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    try:
        Runner(Path(folder)).run(environment)
    except BaseException as error:
        # Nobody reads our stderr: what stopped us must be found in the record.
        if not (Path(folder) / "exit.json").exists():
            _record(Path(folder), {"code": 125, "error": f"{type(error).__name__}: {error}", "ended": time.time()})


class Log:
    """The job's log: all it says, in order, with the time of its lines beside it."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._times = os.open(folder / "times", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size, self._lost, self._stamped = 0, 0, 0.0

    def write(self, data: bytes) -> None:
        """Append `data`. A full disk costs what did not fit, which is named where it would have been."""
        try:
            if self._lost:
                self._append(f"\n[{self._lost} bytes of this log are missing: the disk was full]\n".encode())
                self._lost = 0
            data = data[self._append(data) :]
        except OSError:
            self._lost += len(data)
            return
        if time.monotonic() - self._stamped >= _STAMP:
            self._stamped = time.monotonic()
            with contextlib.suppress(OSError):
                os.write(self._times, f"{self._size} {time.time():.3f}\n".encode())

    def _append(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            written = os.write(self._file, view)
            self._size += written
            view = view[written:]
        return len(data)


class Runner:
    """Runs one job from its job.json to its exit.json."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = read_json(folder / "job.json")
        self._stopped = False
        self._lingering = False  # the command has ended, others of its group may not have
        self._deadline = _NEVER  # monotonic, when the group gets SIGKILL

    def run(self, environment: dict[str, str]) -> None:
        """Start the command, pump its output until it ends, record how."""
        alarm = self._listen()
        log = Log(self.folder)
        reading, writing = os.pipe()
        self.child = self._start(environment, writing)
        os.close(writing)
        environment.clear()
        self._record_start()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        ended = threading.Event()
        if self.job.get("to_vault"):
            from colab_remote.agent.vault import fill

            threading.Thread(target=fill, args=(self.folder, self.job, ended)).start()
        self._pump(reading, alarm, log)
        self._record_end()
        ended.set()

    def _listen(self) -> int:
        alarm, ring = os.pipe()
        os.set_blocking(ring, False)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, frame: self._heard(number))
        return alarm

    def _heard(self, number: int) -> None:
        if number == signal.SIGTERM:
            self._stopped = True

    def _start(self, environment: dict[str, str], output: int) -> subprocess.Popen[bytes]:
        shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
        return subprocess.Popen(
            [shell, "-c", self.job["command"]],
            cwd=self.job["folder"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            umask=0o022,
        )

    def _record_start(self) -> None:
        write_json(
            self.folder / "run.json",
            {
                "pid": self.child.pid,
                "start": started(self.child.pid),
                "runner": os.getpid(),
                "runner_start": started(os.getpid()),
                "boot": boot_id(),
                "started": time.time(),
            },
        )

    def _pump(self, reading: int, alarm: int, log: Log) -> None:
        """Copy the output into the log until the command and all of its group have ended."""
        sources = [reading, alarm]
        while reading in sources or signal_group(self.child.pid, 0):
            if not self._advance():
                break
            ready = select.select(sources, [], [], self._patience())[0]
            if alarm in ready:
                os.read(alarm, 1 << 10)
            if reading in ready:
                data = os.read(reading, 1 << 16)
                log.write(data)
                if not data:
                    sources.remove(reading)

    def _advance(self) -> bool:
        """Send the signals that are due; False once the job's last process had its chance to end."""
        if self.child.poll() is not None and not self._lingering:
            # A job is its process group: what the command leaves behind would hold the GPU's memory.
            self._lingering = True
            self._end_group(_LINGER)
        if self._stopped and self._deadline == _NEVER:
            self._end_group(self._grace())
        if time.monotonic() < self._deadline:
            return True
        kill_group(self.child.pid)
        self._deadline = time.monotonic() + _LINGER
        return not self._lingering

    def _patience(self) -> float | None:
        if self._lingering:
            return 0.02
        return None if self._deadline == _NEVER else max(0.0, self._deadline - time.monotonic())

    def _end_group(self, grace: float) -> None:
        signal_group(self.child.pid, signal.SIGTERM)
        self._deadline = time.monotonic() + grace

    def _grace(self) -> float:
        try:
            return float(read_json(self.folder / "stop.json")["grace"])
        except (OSError, ValueError, KeyError):
            return GRACE

    def _record_end(self) -> None:
        code = self.child.returncode
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = {
            "code": None if code < 0 else code,
            "signal": -code if code < 0 else None,
            "stopped": self._stopped,
            "ended": time.time(),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
            "largest_bytes": usage.ru_maxrss * 1024,
        }
        _record(self.folder, ended)


def _record(folder: Path, ended: dict[str, Any]) -> None:
    """Write exit.json, waiting for room where the disk is full: a job whose end is not written has not ended."""
    while True:
        try:
            return write_json(folder / "exit.json", ended)
        except OSError:
            time.sleep(1)
