"""What a run of the template ends with, and whether two ended with the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def newest(folder: Path) -> Path | None:
    """The checkpoint that went furthest."""
    found = folder.glob("*/*/step-*.pt")
    return max(found, key=lambda path: int(path.stem.removeprefix("step-")), default=None)


def state(path: Path | None) -> dict[str, Any]:
    """All of a checkpoint but where it was saved."""
    assert path is not None
    found: dict[str, Any] = torch.load(path, weights_only=True)
    del found["config"]["trainer"]["save_dir"]
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal, bit for bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def same_end(one: Path, other: Path) -> bool:
    """Whether the runs below two folders ended with the same weights and wrote the same metrics."""
    first, second = _furthest(one), _furthest(other)
    if first is None or second is None or not same(state(first), state(second)):
        return False
    return first.with_name("metrics.jsonl").read_bytes() == second.with_name("metrics.jsonl").read_bytes()


def _furthest(folder: Path) -> Path | None:
    """The checkpoint that went furthest, whatever its name: of the last one, only `best.pt` may have come home."""
    return max(folder.glob("*/*/[!.]*.pt"), key=lambda path: int(state(path)["position"][2]), default=None)
