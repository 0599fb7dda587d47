"""What kind of machine the runtime is, and how it is doing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from colab_remote.agent.serve import Call, Method

_PATIENCE = 10  # seconds for a driver or an interpreter to answer
_GPU_FIELDS = "name,memory.total,memory.used,utilization.gpu"
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


def ping(call: Call) -> dict[str, Any]:
    """Nothing, so that a round trip can be timed."""
    return {}


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


def gpus() -> list[dict[str, Any]]:
    """Name, bytes in all and in use, and load (0 to 1) of each NVIDIA GPU; none where no driver answers."""
    query = ["nvidia-smi", f"--query-gpu={_GPU_FIELDS}", "--format=csv,noheader,nounits"]
    return [gpu for gpu in map(_gpu, _run(query).splitlines()) if gpu]


def memory() -> dict[str, int]:
    """Bytes of memory in all and in use, as the kernel tells them."""
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    size = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines)}
    return {"total": size["MemTotal"], "used": size["MemTotal"] - size["MemAvailable"]}


def disk(folder: str) -> dict[str, int]:
    """Bytes of the file system that holds `folder`, in all and in use."""
    place = Path(folder)
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(str(place))
    return {"total": usage.total, "used": usage.used}


def uptime() -> float:
    """Seconds since the machine started."""
    return float(Path("/proc/uptime").read_text("ascii").split()[0])


def python() -> dict[str, Any]:
    """Versions of the `python3` that a job gets, and of its torch, which is not imported for that."""
    said = _run(["python3", "-c", _PYTHON])
    return dict(json.loads(said)) if said else {"python": None, "torch": None}


def _gpu(line: str) -> dict[str, Any] | None:
    fields = [field.strip() for field in line.split(",")]
    try:
        name, total, used, load = fields[0], int(fields[1]), int(fields[2]), float(fields[3])
    except (IndexError, ValueError):
        return None  # a GPU in an odd state says `[N/A]` or a sentence
    return {"name": name, "total": total << 20, "used": used << 20, "load": load / 100}


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


METHODS: dict[str, Method] = {"ping": ping, "machine": machine}
