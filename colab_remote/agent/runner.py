"""One job's companion: starts the command, writes its log, records its end. Outlives agent, sshd and laptop."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any

from colab_remote.both import logtimes
from colab_remote.both.jobrecord import GRACE
from colab_remote.both.processes import boot_id, kill_session, signal_session, started
from colab_remote.both.whole import read_json, write_json

assert sys.platform != "win32"  # runs on the runtime, which is Linux

_LINGER = 2.0  # seconds that the rest of an ended job's group gets to end by itself
_WINDOW = struct.pack("HHHH", 24, 80, 0, 0)  # a terminal's rows and columns before anybody is there
_NEVER = float("inf")
_FILES_CLOCK = 5  # CLOCK_REALTIME_COARSE, by which Linux stamps files: some milliseconds behind time.time()
_TELLING = 1  # the descriptor whose end tells the agent that the job has begun


def begin(folder: Path, environment: dict[str, str]) -> None:
    """Start the job's runner, a process that outlives us; returns when the job has begun, or could not.

    A fork of the agent, which has no threads: a new interpreter takes longer to start than many jobs to run.
    """
    begun, telling = os.pipe()
    child = os.fork()
    if not child:
        try:
            _run_detached(folder, environment, telling)
        finally:
            os._exit(1)
    os.close(telling)
    os.waitpid(child, 0)
    os.read(begun, 1)
    os.close(begun)


def _run_detached(folder: Path, environment: dict[str, str], telling: int) -> None:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o077)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor, kept in enumerate((nothing, telling, nothing)):
        os.dup2(kept, descriptor)
    # The conversation's among them: its end must not wait for the job's.
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.close(int(name))
    try:
        Runner(folder).run(environment)
    except BaseException as error:
        # Nobody reads our stderr: what stopped us must be found in the record.
        if not (folder / "exit.json").exists():
            _record(folder, {"code": 125, "error": f"{type(error).__name__}: {error}", "ended": time.time()})


class Log:
    """The job's log: all it says, in order, with the times of it beside."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._times = os.open(folder / "times", os.O_WRONLY | os.O_CREAT, 0o600)
        self._size, self._lost, self._notes, self._noted = 0, 0, 0, 0.0

    def write(self, data: bytes) -> None:
        """Append `data`. A full disk costs what did not fit, which is named where it would have been."""
        self._note()
        if self._lost:
            gap = f"\n[{self._lost} bytes of this log are missing: the disk was full]\n".encode()
            if self._append(gap) < len(gap):
                self._lost += len(data)
                return
        self._lost = len(data) - self._append(data)

    def _note(self) -> None:
        # Before what it tells of: who sees the log's bytes finds when they came.
        if time.monotonic() - self._noted >= logtimes.EVERY:
            self._noted = time.monotonic()
            with contextlib.suppress(OSError):
                self._notes = logtimes.put(self._times, self._notes, logtimes.line(self._size, time.time()))

    def _append(self, data: bytes) -> int:
        """Write what fits; how much that is."""
        begin = self._size
        with contextlib.suppress(OSError):
            while self._size - begin < len(data):
                self._size += os.write(self._file, memoryview(data)[self._size - begin :])
        return self._size - begin


class Keyboard:
    """What is typed at a job's terminal: it comes through a FIFO, and goes on as fast as the terminal takes it."""

    def __init__(self, folder: Path, terminal: int) -> None:
        fifo = folder / "keys"
        os.mkfifo(fifo, 0o600)
        # Open for writing too, it has no end of file when somebody leaves.
        self._fifo, self._terminal = os.open(fifo, os.O_RDWR | os.O_NONBLOCK), terminal
        self._typed = b""
        os.set_blocking(terminal, False)

    def waits_for(self) -> tuple[list[int], list[int]]:
        """What must be readable, or writable, before `move` has something to do."""
        return ([], [self._terminal]) if self._typed else ([self._fifo], [])

    def move(self) -> None:
        """Move what is there, without waiting."""
        self._typed = self._typed or os.read(self._fifo, 1 << 12)
        try:
            self._typed = self._typed[os.write(self._terminal, self._typed) :]
        except BlockingIOError:
            return
        except OSError:
            self._typed = b""  # nobody has the terminal open any more


class Runner:
    """Runs one job from its job.json to its exit.json."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = read_json(folder / "job.json")
        self.keyboard: Keyboard | None = None  # where the job has a terminal
        self._stopped = self._told = False  # told: to stop, which is not obeyed yet
        self._lingering = False  # the command has ended, others of its group may not have
        self._deadline = _NEVER  # monotonic, when the group gets SIGKILL

    def run(self, environment: dict[str, str]) -> None:
        """Start the command, pump its output until it ends, record how."""
        alarm = self._listen()
        log = Log(self.folder)
        reading, writing = self._ends()
        self.began = time.clock_gettime(_FILES_CLOCK)
        self.child = self._start(environment, writing)
        try:
            self._record_start(os.ttyname(writing) if self.keyboard else None)
        except OSError:  # the disk is full: nobody would find this job
            kill_session(self.child.pid)
            raise
        os.close(writing)
        environment.clear()
        os.dup2(os.open(os.devnull, os.O_WRONLY), _TELLING)
        ended = threading.Event()
        filling = threading.Thread(target=self._fill_vault, args=(ended,))
        filling.start()
        self._pump(reading, alarm, log)
        self._record_end()
        ended.set()
        filling.join()

    def _fill_vault(self, ended: threading.Event) -> None:
        if self.job.get("to_vault"):
            from colab_remote.agent.vault import fill

            fill(self.folder, self.job, ended)

    def _listen(self) -> int:
        alarm, ring = os.pipe()
        os.set_blocking(ring, False)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, frame: self._heard(number))
        return alarm

    def _heard(self, number: int) -> None:
        if number == signal.SIGTERM:
            self._stopped = self._told = True

    def _ends(self) -> tuple[int, int]:
        """What the job's output is read from, and what it is written to."""
        if not self.job.get("tty"):
            return os.pipe()
        terminal, its = os.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, _WINDOW)
        self.keyboard = Keyboard(self.folder, terminal)
        return terminal, its

    def _start(self, environment: dict[str, str], output: int) -> subprocess.Popen[bytes]:
        shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
        return subprocess.Popen(
            [shell, "-c", self.job["command"]],
            cwd=self.job["folder"],
            env=environment,
            stdin=output if self.keyboard else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_take_terminal if self.keyboard else None,
            umask=0o022,
        )

    def _record_start(self, terminal: str | None) -> None:
        write_json(
            self.folder / "run.json",
            {
                "pid": self.child.pid,
                "start": started(self.child.pid),
                "runner": os.getpid(),
                "runner_start": started(os.getpid()),
                "boot": boot_id(),
                "started": self.began,
                "terminal": terminal,
            },
        )

    def _pump(self, reading: int, alarm: int, log: Log) -> None:
        """Copy the output into the log until the command and all of its group have ended."""
        sources = [reading, alarm]
        while reading in sources or signal_session(self.child.pid, 0):
            if not self._advance():
                break
            keys, room = self.keyboard.waits_for() if self.keyboard and reading in sources else ([], [])
            ready, free, _ = select.select([*sources, *keys], room, [], self._patience())
            if alarm in ready:
                os.read(alarm, 1 << 10)
            if reading in ready:
                data = _read(reading)
                log.write(data or b"")
                if data == b"":
                    sources.remove(reading)
            elif self.keyboard and (free or {*keys} & {*ready}):
                self.keyboard.move()

    def _advance(self) -> bool:
        """Send the signals that are due; False once the job's last process had its chance to end."""
        if self.child.poll() is not None and not self._lingering:
            # A job is its process group: what the command leaves behind would hold the GPU's memory.
            self._lingering = True
            if self._deadline == _NEVER:  # one that is being stopped has its grace
                self._end_group(_LINGER)
        if self._told:
            self._told = False
            self._stop()
        if time.monotonic() < self._deadline:
            return True
        kill_session(self.child.pid)
        self._deadline = time.monotonic() + _LINGER
        return not self._lingering

    def _patience(self) -> float | None:
        if self._lingering:
            return 0.02
        return None if self._deadline == _NEVER else max(0.0, self._deadline - time.monotonic())

    def _stop(self) -> None:
        """End the group; where that has begun, at most sooner: to many programs a second signal says at once."""
        if self._deadline == _NEVER:
            self._end_group(self._grace())
        else:
            self._deadline = min(self._deadline, time.monotonic() + self._grace())

    def _end_group(self, grace: float) -> None:
        signal_session(self.child.pid, signal.SIGTERM)
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


def _take_terminal() -> None:
    """In the child, before its command: its standard input becomes the terminal that its signals come from."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read(source: int) -> bytes | None:
    """What the job says, None for nothing yet; no bytes are its end, which a terminal tells by an error."""
    try:
        return os.read(source, 1 << 16)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _record(folder: Path, ended: dict[str, Any]) -> None:
    """Write exit.json, waiting for room where the disk is full: a job whose end is not written has not ended."""
    while True:
        try:
            return write_json(folder / "exit.json", ended)
        except FileNotFoundError:
            return  # somebody has removed the record: there is nobody to tell
        except OSError:
            time.sleep(1)
