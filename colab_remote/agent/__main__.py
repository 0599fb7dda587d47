"""The agent's start: greet, take the runtime's environment, then serve one conversation."""

from __future__ import annotations

import gc
import os
from pathlib import Path

from colab_remote.agent.serve import Method, Wire, serve
from colab_remote.both.memory import keep_freed_memory
from colab_remote.both.protocol import GREETING


def main() -> None:
    """Serve until the laptop hangs up. Started from a folder that bears the bundle's hash."""
    source, sink = os.dup(0), os.dup(1)
    # A child's output, or a stray print, must not land between two frames.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    keep_freed_memory()
    serve(Wire(source, sink), f"{GREETING} {Path(__file__).parents[2].name}", _methods)


def _methods() -> dict[str, Method]:
    from colab_remote.agent import files, jobs, lanes, leftover, machine, outputs, setup, vault

    # What `launch` saw, also under a foreign sshd that sets nothing.
    os.environ.update(machine.recorded_environment("environment"))
    gc.freeze()  # imports stay: they are not looked through for cycles, and a job's runner, a fork, shares them
    parts = (files, jobs, lanes, leftover, machine, outputs, setup, vault)
    return {name: method for part in parts for name, method in part.METHODS.items()}


if __name__ == "__main__":
    main()
