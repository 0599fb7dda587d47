"""What kind of machine the runtime is, and how it is doing."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from colab_remote.agent.serve import Call, Method
from colab_remote.both.hardware import begun, disk, gpus, memory, said_by, uptime
from colab_remote.both.whole import read_json

# Imports nothing that takes longer than Python itself, torch least of all.
_PYTHON = """
import os, sys
print("%d.%d.%d" % sys.version_info[:3])
for folder in sys.path:
    try:
        with open(os.path.join(folder, "torch", "version.py")) as file:
            print(next(line for line in file if line.startswith("__version__")).split("'")[1])
            break
    except (OSError, StopIteration, IndexError):
        pass
"""


def state_folder() -> Path:
    """Where `launch` keeps the runtime's state, as sshd's SetEnv says, else the default."""
    return Path(os.environ.get("COLAB_REMOTE_STATE") or Path.home() / ".colab-remote")


def recorded_environment(kind: str) -> dict[str, str]:
    """The variables that `launch` has recorded as `kind`; none where its file is damaged, or there is none."""
    try:
        recorded = read_json(state_folder() / "environment.json")[kind]
        return {name: value for name, value in recorded.items() if _can_be_set(name, value)}
    except (OSError, ValueError, KeyError, AttributeError):
        return {}


def ping(call: Call) -> dict[str, Any]:
    """Nothing, so that a round trip can be timed."""
    return {}


def sshd(call: Call) -> dict[str, Any]:
    """The port of the sshd that this conversation came through, 0 where that does not say."""
    words = os.environ.get("SSH_CONNECTION", "").split()
    return {"port": int(words[3]) if len(words) == 4 else 0}


def machine(call: Call) -> dict[str, Any]:
    """GPUs, memory, disk under `workdir`, uptime and load of the machine, and the Python that jobs get."""
    python = begun(["python3", "-c", _PYTHON])  # beside the driver, which takes as long
    return {
        "gpus": gpus(),
        "memory": memory(),
        "disk": disk(call.arguments.get("workdir", "/")),
        "uptime": uptime(),
        "cpus": os.cpu_count(),
        "load": float(Path("/proc/loadavg").read_text("ascii").split()[0]),
        "clock": time.time(),
        **_versions(said_by(python)),
    }


def _versions(said: str) -> dict[str, Any]:
    """Of the `python3` that a job gets, and of its torch."""
    python, torch, *_ = *said.split(), None, None
    return {"python": python, "torch": torch}


def _can_be_set(name: str, value: object) -> bool:
    return isinstance(value, str) and name != "" and "=" not in name and "\0" not in name + value


METHODS: dict[str, Method] = {"ping": ping, "sshd": sshd, "machine": machine}
