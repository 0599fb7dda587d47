"""Checkpoints: which file belongs to which, and whether its own format says that it is whole."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from pathlib import Path

from colab_remote.both.ignore import matcher

_ZIPPED = (".pt", ".pth", ".ckpt", ".npz")


class Units:
    """Which checkpoint a file belongs to: a pattern that ends in `/` names folders, each of them one checkpoint."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._folders = matcher(pattern for pattern in patterns if pattern.endswith("/"))
        self._known: dict[str, str] = {}

    def of(self, path: str) -> str:
        """The outermost folder that is one checkpoint, else the file itself."""
        if path not in self._known:
            parts = path.split("/")
            folders = ("/".join(parts[:count]) for count in range(1, len(parts)))
            self._known[path] = next((folder for folder in folders if self._folders.match_file(f"{folder}/")), path)
        return self._known[path]


def whole_by_format(path: Path) -> bool | None:
    """Whether the zip or safetensors file at `path` is complete; None for a format that cannot say. Raises OSError."""
    if path.name.endswith(".safetensors"):
        return _safetensors(path)
    if path.name.endswith(_ZIPPED):
        with path.open("rb") as file:
            head = file.read(2)
        # torch.save has written zip archives since 1.6; before, pickles, which cannot say.
        return _zip(path) if head == b"PK" else None
    return None


def _zip(path: Path) -> bool:
    """Whether the central directory, which is written last, is there and names nothing beyond itself."""
    import zipfile  # here: most commands look at no checkpoint

    try:
        with zipfile.ZipFile(path) as archive:
            return all(entry.header_offset + entry.compress_size <= archive.start_dir for entry in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
        return False


def _safetensors(path: Path) -> bool:
    """Whether the file is as long as its header says: u64 length, JSON with each tensor's end, the tensors."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= size - 8:
            return False
        try:
            tensors = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return False
    return bool(size == 8 + length + max(ends, default=0))
