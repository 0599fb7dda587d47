"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

FORMAT = 1
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
TEMPORARY = ".colab-remote-partial-"
_BUSY = 1.0  # seconds for which a file that somebody else reads is waited for,
_GLANCE = 0.01  # and between two tries


class NewerFormat(ValueError):
    """A JSON file was written by a newer version; it is left as it is."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"`{path}` was written by a newer colab-remote")


class WholeFile:
    """A file that appears at `path` complete when the `with` block ends, and not at all if it raises.

    The bytes go to a temporary file in the same folder; it is flushed to the disk, renamed over `path`, and
    the folder is flushed too, so that a power cut leaves the old file or the new one.
    """

    def __init__(self, path: Path, mode: int = 0o600, mtime_ns: int | None = None) -> None:
        self.path, self.mode, self.mtime_ns = path, mode, mtime_ns

    def __enter__(self) -> BinaryIO:
        self.temporary = self.path.parent / f"{TEMPORARY}{os.urandom(8).hex()}"
        try:
            self.file = os.fdopen(create(self.temporary, 0o600), "wb")
        except BaseException:  # a Ctrl-C may come at any moment
            self.temporary.unlink(missing_ok=True)
            raise
        return self.file

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            # Closing writes what is left, which a full disk refuses once more.
            with contextlib.suppress(OSError):
                self.file.close()
            self.temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        os.chmod(self.temporary, self.mode)
        if self.mtime_ns is not None:
            os.utime(self.temporary, ns=(self.mtime_ns, self.mtime_ns))
        replace(self.temporary, self.path)
        flush_folder(self.path.parent)


def replace(source: str | Path, place: str | Path, platform: str = sys.platform) -> None:
    """os.replace. Windows refuses it while somebody has `place` open, if only a virus scanner: it waits a moment."""
    deadline = time.monotonic() + _BUSY
    while True:
        try:
            return os.replace(source, place)
        except PermissionError:
            if platform != "win32" or time.monotonic() > deadline:
                raise
        time.sleep(_GLANCE)


def create(path: str | Path, mode: int) -> int:
    """The handle of a new file. tempfile.mkstemp takes longer than the disk does. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)


def flush_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk. Windows has no such call and orders renames itself."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_file(path: str) -> None:
    """Bring a file's content to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))  # Windows flushes no file opened for reading
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_file_systems(folders: Iterable[str]) -> bool:
    """Bring all that lies on the disks of `folders` to them, in a tenth of the time of many single files.

    False where that cannot be done, or failed.
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    system = ctypes.CDLL(None)
    if not hasattr(system, "syncfs"):
        return False
    for folder in {os.stat(folder).st_dev: folder for folder in folders}.values():
        handle = os.open(folder, os.O_RDONLY)
        try:
            if system.syncfs(handle):
                return False
        finally:
            os.close(handle)
    return True


def write_whole(path: Path, data: bytes, mode: int = 0o600, mtime_ns: int | None = None) -> None:
    """Put `data` at `path`, whole or not at all; `mtime_ns` in nanoseconds, now when None."""
    try:
        with WholeFile(path, mode, mtime_ns) as file:
            file.write(data)
    except OSError as error:
        error.filename = os.fspath(path)  # a full disk names none, and others the temporary one
        raise


def write_json(path: Path, value: dict[str, Any], mode: int = 0o600) -> None:
    """Write one of our records: readable by a person, with its format's number."""
    text = json.dumps({"format": FORMAT, **value}, indent=2, ensure_ascii=False) + "\n"
    write_whole(path, text.encode("utf-8", "surrogateescape"), mode)


def read_json(path: Path) -> dict[str, Any]:
    """The record at `path`. Raises NewerFormat, FileNotFoundError, or ValueError when it is no record."""
    try:
        value = json.loads(path.read_text("utf-8", "surrogateescape"))
    except RecursionError:
        raise ValueError(f"`{path}` is nested too deep for a record") from None
    if not isinstance(value, dict):
        raise ValueError(f"`{path}` holds no record")
    if not isinstance(value.get("format"), int):
        raise ValueError(f"`{path}` does not say its format")
    if value["format"] > FORMAT:
        raise NewerFormat(path)
    return value


def fits(value: object, shape: Any) -> bool:
    """Whether a value from JSON is what `shape` says: a type, several, or a shape for each of some names."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(fits(value.get(name), inner) for name, inner in shape.items())
    return isinstance(value, shape)
