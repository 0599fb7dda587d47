#!/usr/bin/env python3
"""Train what a configuration describes, or go on with a run from one of its checkpoints."""

from __future__ import annotations

import sys

from config import Refused, read_command_line
from run import Interrupted, begin, number, resume, run, together


def main() -> int:
    """The process's exit code: 0 trained, 2 for a mistake in what was asked, 128 and the signal when told to end."""
    wishes = read_command_line(sys.argv[1:], __doc__)
    try:
        with together():
            run(*(resume(wishes, wishes.checkpoint) if wishes.checkpoint else begin(wishes)))
    except Refused as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 2
    except Interrupted as interruption:
        if number() == 0:
            print(interruption, file=sys.stderr)
        return interruption.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
