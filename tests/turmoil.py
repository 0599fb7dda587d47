"""Edits on both sides of a pair while syncs are cut off and killed, and a model of what must be left in the end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from pair import Pair, tree

from colab_remote.errors import ColabRemoteError
from colab_remote.laptop.conversation import Stream

_FILES = 8  # on each side
_SYNC = "import sys; from pathlib import Path; from pair import Pair; Pair(Path(sys.argv[1]), Path(sys.argv[2])).sync()"


class CutOff:
    """A stream that breaks after `budget` bytes, whichever way they go."""

    def __init__(self, stream: Stream, budget: int) -> None:
        self.stream, self.budget = stream, budget

    def recv(self, count: int) -> bytes:
        return self.stream.recv(self._spend(count))

    def sendall(self, data: bytes) -> None:
        self.stream.sendall(data[: self._spend(len(data))])
        if self.budget <= 0:
            self._break()

    def close(self) -> None:
        self.stream.close()

    def shutdown(self, how: int) -> None:
        self.stream.shutdown(how)

    def _spend(self, count: int) -> int:
        if self.budget <= 0:
            self._break()
        count = min(count, self.budget)
        self.budget -= count
        return count

    def _break(self) -> None:
        self.stream.close()
        raise ConnectionResetError


class Turmoil:
    """Each side has files that only it edits, so that at the end both must have the last version of every one."""

    def __init__(self, pair: Pair, seed: int) -> None:
        self.pair, self.random = pair, random.Random(seed)
        self.model: dict[str, tuple[bytes, bool]] = {"colab-remote.toml": (b"", False)}
        self.version = 0

    def edit(self) -> None:
        """Create, change, delete, rename or chmod one file on one side."""
        met = (self.pair.there / ".colab-remote").exists()
        side = self.random.choice(("here", "there")) if met else "here"
        root: Path = getattr(self.pair, side)
        path = f"{side}/{self.random.randrange(_FILES)}"
        kind = self.random.choice(("write", "write", "write", "delete", "rename", "mode"))
        if kind == "write" or path not in self.model:
            self._write(root, path)
        elif kind == "delete" and sum(name.startswith(side) for name in self.model) > _FILES // 2 + 1:
            (root / path).unlink()
            del self.model[path]
        elif kind == "rename":
            self.version += 1
            new = f"{side}/moved {self.random.randrange(_FILES)}"
            os.replace(root / path, root / new)
            self.model[new] = self.model.pop(path)
        else:
            executable = not self.model[path][1]
            (root / path).chmod(0o755 if executable else 0o644)
            self.model[path] = (self.model[path][0], executable)

    def _write(self, root: Path, path: str) -> None:
        """Save as editors do: a new file in the old one's place."""
        self.version += 1
        content = f"{path} {self.version} ".encode() * self.random.choice((1, 10, 20_000))
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        fresh = root / path.split("/")[0] / ".DS_Store"  # a name that never travels
        fresh.write_bytes(content)
        os.replace(fresh, root / path)
        self.model[path] = (content, False)

    def disturbed(self, attempt: Callable[[], None], edits: int) -> None:
        """Run `attempt` with edits going on beside it."""
        stop = threading.Event()

        def edit_on() -> None:
            for _ in range(edits):
                self.edit()
                if stop.wait(self.random.random() * 0.02):
                    return

        editor = threading.Thread(target=edit_on)
        editor.start()
        try:
            attempt()
        finally:
            stop.set()
            editor.join()

    def cut(self, budget: int) -> None:
        """A sync whose connection breaks after that many bytes."""
        try:
            self.pair.sync(through=lambda stream: CutOff(stream, budget))
        except ColabRemoteError:
            return

    def kill(self, after: float) -> None:
        """A sync that is killed after that many seconds."""
        words = [sys.executable, "-c", _SYNC, str(self.pair.here), str(self.pair.workdir)]
        path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
        process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def settle(self) -> None:
        """Sync in peace, and hold both sides against the model."""
        for _ in range(3):
            report = self.pair.sync()
            assert not report.conflicts, report.conflicts
            if not report.problems:
                break
        for root in (self.pair.here, self.pair.there):
            found = {name: value for name, value in tree(root).items() if value is not None}
            assert found == self.model, differences(found, self.model)

    def round(self) -> None:
        """Some edits, one sync that goes wrong, and the peace after it."""
        for _ in range(self.random.randrange(6)):
            self.edit()
        if self.random.random() < 0.6:
            budget = int(200 * 4000 ** self.random.random())
            self.disturbed(lambda: self.cut(budget), edits=self.random.randrange(4))
        else:
            after = 0.15 + 0.35 * self.random.random()
            self.disturbed(lambda: self.kill(after), edits=self.random.randrange(4))
        for _ in range(self.random.randrange(3)):
            self.edit()
        self.settle()


def differences(found: dict[str, object], model: dict[str, tuple[bytes, bool]]) -> str:
    """What is wrong, short enough to read."""
    return "; ".join(
        f"{path}: {str(found.get(path))[:60]} instead of {str(model.get(path))[:60]}"
        for path in sorted(found.keys() | model.keys())
        if found.get(path) != model.get(path)
    )
