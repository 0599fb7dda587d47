"""Kills of the line at random during `sync`, `logs -f` and `run`: `chaos_line.py [KILLS] [SEED]`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from sides import Laptop, Runtime, started_sshd  # noqa: E402

PATIENCE = 60.0  # seconds after which a command hangs
LINES = 400  # of the log that is followed, and of the job that is run
WORDS = f"for i in $(seq {LINES}); do echo $i; sleep 0.01; done"
WHOLE = "".join(f"{number}\n" for number in range(1, LINES + 1))


class Storm:
    """Rounds of commands under which the line is killed."""

    def __init__(self, laptop: Laptop, runtime: Runtime, seed: int) -> None:
        self.laptop, self.runtime, self.random, self.kills = laptop, runtime, random.Random(seed), 0
        self.project = laptop.home / "digits"
        self.project.mkdir()
        (self.project / "colab-remote.toml").touch()
        assert laptop("sync", cwd=self.project).returncode == 0

    def round(self, number: int) -> None:
        """A job is run and its log followed while the project is synced; the line dies a few times."""
        content = self.random.randbytes(self.random.randrange(1, 3_000_000))
        (self.project / f"file-{number % 7}").write_bytes(content)
        name = f"chaos-{number}"
        run = self._started("run", "--no-sync", "--name", name, "--", WORDS)
        self._until_begun(run, name)
        logs = self._started("logs", "-f", name)
        sync = self._started("sync")
        for _ in range(self.random.randrange(1, 5)):
            time.sleep(self.random.random())
            self._kill()
        for command in (run, logs):
            code, said = self._ended(command)
            assert (code, said) == (0, WHOLE), f"`{command.args!r}` ended with {code} and said {said!r}"
        # A sync says so when it is cut off, and the next one goes on with it.
        sync.communicate(timeout=PATIENCE)
        assert sync.returncode in (0, 4), f"sync ended with {sync.returncode}"
        again = self.laptop("sync", cwd=self.project)
        assert again.returncode == 0, again.stderr
        there = self.runtime.workdir / "digits" / f"file-{number % 7}"
        assert there.read_bytes() == content, "a file is not what was synced"

    def _started(self, *words: str) -> subprocess.Popen[str]:
        return self.laptop.started("--timeout", str(PATIENCE / 2), *words, cwd=self.project)

    def _until_begun(self, run: subprocess.Popen[str], name: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while name not in self.laptop("jobs", "--json").stdout:
            assert run.poll() is None, f"`run` ended with {run.returncode}: {run.communicate()}"
            assert time.monotonic() < deadline, "the job does not begin"

    def _kill(self) -> None:
        for pid in self.laptop.lines():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.kills += 1

    def _ended(self, command: subprocess.Popen[str]) -> tuple[int, str]:
        said, errors = command.communicate(timeout=PATIENCE)
        assert "Traceback" not in errors, errors
        if command.returncode:
            print(errors, file=sys.stderr)
        return command.returncode, said


def main() -> None:
    """Kill until there were enough kills; the first thing that is lost, or hangs, or stays, ends it."""
    kills, seed = (int(word) for word in [*sys.argv[1:], *("100", "1")[len(sys.argv) - 1 :]][:2])
    with tempfile.TemporaryDirectory() as scratch, started_sshd(Path(scratch) / "runtime") as runtime:
        home = Path(scratch) / "home"
        home.mkdir()
        laptop = Laptop(home, {"HOME": str(home), "XDG_RUNTIME_DIR": scratch, "PATH": "/usr/bin:/bin"})
        runtime.admit(laptop.public_line())
        assert laptop("connect", runtime.ticket, "--open", "none").returncode == 0
        storm, number = Storm(laptop, runtime, seed), 0
        try:
            while storm.kills < kills:
                storm.round(number)
                number += 1
                print(f"\r{storm.kills} of {kills} kills survived", end="", flush=True)
        finally:
            laptop.end_lines()
        assert not laptop.lines(), "a line stays"
    print()


if __name__ == "__main__":
    main()
