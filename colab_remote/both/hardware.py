"""What the machine is and how it is doing, as the kernel and the driver tell."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

_PATIENCE = 10  # seconds for a driver or an interpreter to answer
_GPU_FIELDS = "name,memory.total,memory.used,utilization.gpu,temperature.gpu"


def gpus() -> list[dict[str, Any]]:
    """Name, bytes in all and in use, load (0 to 1) and degrees of each NVIDIA GPU; none where no driver answers."""
    query = ["nvidia-smi", f"--query-gpu={_GPU_FIELDS}", "--format=csv,noheader,nounits"]
    return [gpu for gpu in map(_gpu, run(query).splitlines()) if gpu]


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


def run(command: list[str]) -> str:
    """What a command prints, empty where it is missing, fails or does not answer."""
    return said_by(begun(command))


def begun(command: list[str]) -> subprocess.Popen[bytes] | None:
    """A command under way, None where it is missing."""
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return None


def said_by(process: subprocess.Popen[bytes] | None) -> str:
    """What it prints, empty where it fails or does not answer."""
    if process is None:
        return ""
    try:
        said, _ = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
    return "" if process.returncode else said.decode("utf-8", "replace")


def _gpu(line: str) -> dict[str, Any] | None:
    fields = [field.strip() for field in line.split(",")]
    try:
        name, total, used, load = fields[0], int(fields[1]), int(fields[2]), float(fields[3])
    except (IndexError, ValueError):
        return None  # a GPU in an odd state says `[N/A]` or a sentence
    degrees = float(fields[4]) if fields[4:] and fields[4].isdigit() else None  # some cannot tell
    return {"name": name, "total": total << 20, "used": used << 20, "load": load / 100, "degrees": degrees}
