"""A laptop without a network while the VM of its training is replaced: `chaos_away.py [SECONDS]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from storm import Storm  # noqa: E402


def main() -> None:
    """Train through it; other bits at its end, or a command that has to be typed, end it."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3600
    with tempfile.TemporaryDirectory(prefix="storm-") as scratch, Storm(Path(scratch), 1) as storm:
        storm.away(seconds)
    print(f"{seconds} s without a network, another VM meanwhile: resumed by itself, bit-identical")


if __name__ == "__main__":
    main()
