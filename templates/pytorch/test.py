#!/usr/bin/env python3
"""Measure a checkpoint's best weights on the images that no training has seen."""

from __future__ import annotations

import json
import sys

from config import Config, Refused, build, read_command_line
from run.begin import prepare
from run.checkpoint import read_checkpoint
from run.evaluation import evaluate


def main() -> int:
    """The process's exit code: 0, or 2 for a mistake in what was asked."""
    wishes = read_command_line(sys.argv[1:], __doc__)
    try:
        if wishes.checkpoint is None:
            raise Refused("name a checkpoint: python3 test.py -r saved/.../best.pt")
        state = read_checkpoint(wishes.checkpoint)
        wishes.apply(state["config"])
        training = prepare(build(Config, state["config"]), wishes.devices)
        training.parts.model.load_state_dict(state["best_model"] or state["model"])
    except Refused as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 2
    print(json.dumps(evaluate(training, training.parts.split.test, "test_")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
