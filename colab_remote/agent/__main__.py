"""The agent's start: take the runtime's environment, then serve one conversation."""

from __future__ import annotations

import os
from pathlib import Path

from colab_remote.agent import files, jobs, leftover, machine, outputs, setup, vault
from colab_remote.agent.serve import Method, Wire, serve
from colab_remote.both.protocol import GREETING

_PARTS = (files, jobs, leftover, machine, outputs, setup, vault)
METHODS: dict[str, Method] = {name: method for part in _PARTS for name, method in part.METHODS.items()}


def main() -> None:
    """Serve until the laptop hangs up. Started from a folder that bears the bundle's hash."""
    _take_environment()
    source, sink = os.dup(0), os.dup(1)
    # A child's output, or a stray print, must not land between two frames.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    serve(Wire(source, sink), f"{GREETING} {Path(__file__).parents[2].name}", METHODS)


def _take_environment() -> None:
    """What `launch` saw, also under a foreign sshd that sets nothing."""
    os.environ.update(machine.recorded_environment("environment"))


if __name__ == "__main__":
    main()
