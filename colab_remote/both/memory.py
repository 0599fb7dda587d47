"""Memory for bytes that pass through."""

from __future__ import annotations

_KEPT = 4 << 20  # bytes


def keep_freed_memory() -> None:
    """Have this process keep what it frees, up to 8 MB, for what it needs next.

    glibc gave each large piece's pages back, and had them made anew for the next one: a sixth of the time of a pull.
    """
    bytes(_KEPT)  # freed at once, which raises glibc's limit for that: M_MMAP_THRESHOLD in mallopt(3)
