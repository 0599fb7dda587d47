"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".new-"  # how the name of a file begins that is not whole yet


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that appears as `path` when the `with` block ends well, and never half-written.

    Data and name are on the disk when this returns: the machine may lose its power right after. Raises OSError.
    """
    temporary = path.with_name(TEMPORARY + path.name)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def sweep(folder: Path) -> None:
    """Remove what a killed process left half-written in `folder`."""
    for left in folder.glob(f"{TEMPORARY}*"):
        left.unlink(missing_ok=True)


def also_as(path: Path, name: Path) -> None:
    """The same file under another name, at no cost where the disk knows hard links."""
    temporary = name.with_name(TEMPORARY + name.name)
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except OSError:
        with whole_file(name) as file, path.open("rb") as source:
            shutil.copyfileobj(source, file)
        return
    os.replace(temporary, name)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # where a folder cannot be opened, and a rename is flushed with its file
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
