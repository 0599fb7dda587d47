#!/usr/bin/env python3
"""Look for a better configuration: trials of it with other values, the best one written as a configuration."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from config import Document
from tuning import Tell, search


def train(document: Document, tell: Tell) -> None:
    """Train what `document` describes. Raises Refused, and what `tell` raises; leaves the process when told to end."""
    from run import CommandLine, Interrupted  # here, because `--serve` runs without torch

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.json")
        config.write_text(json.dumps(document), "utf-8")
        try:
            CommandLine(["fit", "-c", str(config)], tell)
        except Interrupted as interruption:
            sys.exit(interruption.code)


if __name__ == "__main__":
    sys.exit(search(sys.argv[1:], train, "run.monitor", __doc__))
