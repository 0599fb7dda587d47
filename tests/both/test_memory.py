"""Pages are made once for what passes through, not again for each piece."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ROUNDS, PIECES, PIECE = 100, 8, 1 << 18
PAGES = PIECES * PIECE // 4096  # of one round; fewer where they are larger

# In a process of its own: what others of this one freed may have raised glibc's limit before.
PASSING = f"""
import resource
from colab_remote.both.memory import keep_freed_memory
keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range({ROUNDS}):
    pieces = [b"x" * {PIECE} for _ in range({PIECES})]
    del pieces
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another libc gives memory back in its own way")
def test_what_is_freed_serves_the_next_pieces() -> None:
    """Without it, from ten to a hundred times as many pages are made."""
    assert int(subprocess.check_output([sys.executable, "-c", PASSING])) < 2 * PAGES
