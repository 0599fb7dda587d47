"""Whether a checkpoint's own format says that it is whole."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

_ZIPPED = (".pt", ".pth", ".ckpt", ".npz")


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
