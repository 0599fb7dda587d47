#!/usr/bin/env python3
"""Train what a configuration describes: `fit -c config.json`, and `--ckpt_path` to go on from a checkpoint."""

from __future__ import annotations

import sys

from config import Refused
from run import CommandLine, Interrupted


def main() -> int:
    """The process's exit code: 0 trained, 2 for a mistake in what was asked, 128 and the signal when told to end."""
    try:
        CommandLine()
    except Refused as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 2
    except Interrupted as interruption:
        print(interruption, file=sys.stderr)
        return interruption.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
