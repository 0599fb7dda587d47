"""What kind of machine the runtime is, and how it is doing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from colab_remote.agent.serve import Call, Method
from colab_remote.both.hardware import disk, gpus, memory, run, uptime
from colab_remote.both.whole import read_json

_PYTHON = """
import json, sys
from importlib import metadata
try:
    torch = metadata.version("torch")
except metadata.PackageNotFoundError:
    torch = None
print(json.dumps({"python": "%d.%d.%d" % sys.version_info[:3], "torch": torch}))
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
    return {
        "gpus": gpus(),
        "memory": memory(),
        "disk": disk(call.arguments.get("workdir", "/")),
        "uptime": uptime(),
        "cpus": os.cpu_count(),
        "load": float(Path("/proc/loadavg").read_text("ascii").split()[0]),
        "clock": time.time(),
        **python(),
    }


def python() -> dict[str, Any]:
    """Versions of the `python3` that a job gets, and of its torch, which is not imported for that."""
    said = run(["python3", "-c", _PYTHON])
    return dict(json.loads(said)) if said else {"python": None, "torch": None}


def _can_be_set(name: str, value: object) -> bool:
    return isinstance(value, str) and name != "" and "=" not in name and "\0" not in name + value


METHODS: dict[str, Method] = {"ping": ping, "sshd": sshd, "machine": machine}
