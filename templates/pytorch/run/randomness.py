"""All that is random in a run, to begin the same way each time and to go on the same way."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import torch


def seed_generators(seed: int, deterministic: bool) -> None:
    """Seed Python's, NumPy's and torch's generators, and let torch use `deterministic` algorithms only.

    https://docs.pytorch.org/docs/stable/notes/randomness.html
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when the GPU is first used
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic


def generators() -> dict[str, Any]:
    """The state of all generators, in tensors and plain values."""
    numbers: Any = np.random.get_state(legacy=True)
    name, keys, position, has_gauss, gauss = numbers
    return {
        "python": random.getstate(),
        "numpy": [str(name), torch.tensor(keys.astype(np.int64)), int(position), int(has_gauss), float(gauss)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def restore_generators(states: dict[str, Any]) -> None:
    """Go on where `generators()` was called."""
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    name, numbers, *rest = states["numpy"]
    np.random.set_state((name, numbers.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
