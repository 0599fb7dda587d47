"""The record of what came home: which job each output is from, and how it was when it came."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from colab_remote.both.whole import fits, read_json, write_json
from colab_remote.laptop.lock import held
from colab_remote.laptop.project import OURS, Project

_SELDOM = 1.0  # seconds between two writings of the record, which is written whole


class HomeRecord:
    """`files` has the facts of each output by its path, `folders` those of the files of each checkpoint that is one.

    `arrived` is among the facts of what came from a runtime, and `stored_ns` its time as this disk keeps it.
    """

    def __init__(self, project: Project) -> None:
        self._root = project.root
        self._place = project.root / OURS / "outputs.json"
        self.lock = project.root / OURS / "outputs.lock"
        self.files: dict[str, dict[str, Any]] = {}
        self.folders: dict[str, dict[str, list[int | None]]] = {}
        self._saved, self._unsaved = 0.0, False
        self._load()

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether no other command brings outputs home as long as this lasts; then all that came is known."""
        with held(self.lock) as ours:
            if ours:
                self._load()
            try:
                yield ours
            finally:
                self.settle()

    def facts(self, path: str) -> list[int | None]:
        """Size and time of the file that came home last, as `folders` has them."""
        record = self.files.get(path, {})
        return [record.get("size"), record.get("mtime_ns")]

    def untouched(self, path: str) -> bool:
        """Whether what lies there is what came home."""
        record = self.files.get(path, {})
        try:
            found = (self._root / path).lstat()
        except OSError:
            return False
        stored = record.get("stored_ns", record.get("mtime_ns"))
        return (record.get("size"), stored) == (found.st_size, found.st_mtime_ns)

    def came(self, path: str) -> bool:
        """Whether what lies there is as it came from a runtime."""
        return "arrived" in self.files.get(path, {}) and self.untouched(path)

    def changed(self) -> None:
        """Write the record, now or a little later: a file that it does not know yet is brought and recognised again."""
        self._unsaved = True
        if time.monotonic() - self._saved > _SELDOM:
            self.settle()

    def settle(self) -> None:
        """Write what is not written yet."""
        if self._unsaved:
            self.save()

    def save(self) -> None:
        """Write the record now."""
        write_json(self._place, {"files": self.files, "folders": self.folders})
        self._saved, self._unsaved = time.monotonic(), False

    def _load(self) -> None:
        try:
            kept = read_json(self._place)
        except (FileNotFoundError, ValueError):
            return
        if fits(kept, {"files": dict, "folders": dict}):
            self.files, self.folders = kept["files"], kept["folders"]
