#!/usr/bin/env python3
"""Look for a better configuration: trials of it with other values, the best one written as a configuration."""

from __future__ import annotations

import sys

from config import Document
from tuning import Tell, search


def train(document: Document, tell: Tell) -> None:
    """Train what `document` describes. Raises Refused, and what `tell` raises; leaves the process when told to end."""
    from run import Interrupted, run, start  # here, because `--serve` runs without torch

    training, journal = start(document, None)
    journal.listeners.append(tell)
    try:
        run(training, journal)
    except Interrupted as interruption:
        sys.exit(interruption.code)


if __name__ == "__main__":
    sys.exit(search(sys.argv[1:], train, "trainer.monitor", __doc__))
