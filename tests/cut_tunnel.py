"""A tunnel that is cut while somebody works through it: an interactive ssh session, and a log that is followed."""

from __future__ import annotations

import os
import queue
import random
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from bad_network import BadNetwork
from sides import PATIENCE, Laptop

Cut = Literal["held", "broken"]  # nothing passes, and nobody is told; or every connection breaks, and none is admitted
SURVIVED = 14  # seconds for which a connection that is held is taken for alive: a ping goes, and its answer may wait
_NOTICED = 60.0  # seconds for a dead one to be noticed, its processes to be ended, and that to be read
_FILES, _SIZE = 40, 250_000  # of a sync, and bytes in each
_TYPED = "stty -echo; echo ready; while read word; do echo heard $word; done"


class Session:
    """Somebody's interactive ssh session, on a terminal there."""

    def __init__(self, laptop: Laptop) -> None:
        argv = ["ssh", "-tt", "-F", str(laptop.home / ".ssh" / "config"), "colab", _TYPED]
        pipe, self._errors = subprocess.PIPE, laptop.home / "said-by-ssh"
        with self._errors.open("w") as errors:  # no pipe: the ssh that jumps through a relay may outlive this one
            self.ssh = subprocess.Popen(
                argv, env=laptop.env, stdin=pipe, stdout=pipe, stderr=errors, text=True, bufsize=1
            )
        self._heard: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.hears("ready")

    def types(self, word: str) -> None:
        """A line typed into it."""
        assert self.ssh.stdin
        self.ssh.stdin.write(f"{word}\n")

    def hears(self, line: str) -> None:
        """Wait for the next line that comes back, which must be this one."""
        heard = self._heard.get(timeout=PATIENCE)
        assert heard == line, f"{heard!r} instead of {line!r}"

    def ended(self) -> str:
        """What was said on stderr once it has ended by itself, as ssh ends where contact is lost."""
        code = self.ssh.wait(_NOTICED)
        assert code == 255, f"ssh ended with {code}"
        return self._hung_up()

    def close(self) -> None:
        """Hang up."""
        self.ssh.kill()
        self.ssh.wait()
        self._hung_up()

    def _hung_up(self) -> str:
        assert self.ssh.stdin
        assert self.ssh.stdout
        self._reader.join(PATIENCE)
        self.ssh.stdout.close()
        with suppress(BrokenPipeError):
            self.ssh.stdin.close()
        return self._errors.read_text()

    def _read(self) -> None:
        assert self.ssh.stdout
        for line in self.ssh.stdout:
            self._heard.put(line.rstrip("\r\n"))


def work_through_a_cut(laptop: Laptop, network: BadNetwork, cut: Cut, seconds: float, chance: random.Random) -> None:
    """Cut the way to `colab` for that long. What can go on has to go on by itself, what cannot has to say so."""
    count = int(10 * seconds) + 30
    words = f"for i in $(seq {count}); do echo $i; sleep 0.1; done"
    job = laptop("run", "--no-sync", "--detach", "--", words).stdout.strip()
    session = Session(laptop)
    with laptop.started("logs", "-f", job) as logs:
        assert logs.stdout
        assert os.read(logs.stdout.fileno(), 2) == b"1\n"  # and not a byte of what is buffered behind it
        time.sleep(chance.random())
        session.types("before")
        session.hears("heard before")
        network.freeze() if cut == "held" else network.down()
        over = time.monotonic() + seconds
        if cut == "held":
            session.types("during")
        if cut == "broken" or seconds > SURVIVED:
            assert session.ended(), "it ended without a word"
        time.sleep(max(0.0, over - time.monotonic()))
        network.thaw() if cut == "held" else network.up()
        if session.ssh.returncode is None:
            session.hears("heard during")
            session.types("after")
            session.hears("heard after")
            session.close()
        log, errors = logs.communicate(timeout=count / 10 + PATIENCE)
    assert "Traceback" not in errors
    assert (logs.returncode, log) == (0, "".join(f"{i}\n" for i in range(2, count + 1))), errors
    again = Session(laptop)
    again.close()


def sync_through_a_cut(
    laptop: Laptop, network: BadNetwork, cut: Cut, seconds: float, chance: random.Random, there: Path
) -> None:
    """Cut the way to `colab` in the middle of a sync to the folder `there`: it goes on, or says so and the next does.

    `network` has to be slow enough for a middle.
    """
    project = laptop.home / there.name
    project.mkdir(exist_ok=True)
    (project / "colab-remote.toml").touch()
    for number in range(_FILES):
        (project / f"file-{number}").write_bytes(chance.randbytes(_SIZE))
    with laptop.started("sync", cwd=project) as sync:
        time.sleep(0.5 + chance.random())
        network.freeze() if cut == "held" else network.down()
        time.sleep(seconds)
        network.thaw() if cut == "held" else network.up()
        _, errors = sync.communicate(timeout=10 * PATIENCE)
    assert "Traceback" not in errors
    assert sync.returncode == 0 or (sync.returncode == 4 and "hint: " in errors), errors
    again = laptop("sync", cwd=project)
    assert again.returncode == 0, again.stderr
    for path in project.glob("file-*"):
        assert (there / path.name).read_bytes() == path.read_bytes(), path
