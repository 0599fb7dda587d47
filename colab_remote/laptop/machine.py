"""What a runtime's agent says about its machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from colab_remote.both.jobrecord import OVER
from colab_remote.errors import ColabRemoteError
from colab_remote.laptop.conversation import Conversation


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes in all, and in use."""

    total: int
    used: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: its memory, how busy it is (0 to 1), and its temperature in degrees Celsius where it tells."""

    name: str
    memory: Usage
    load: float
    degrees: float | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """A runtime: `uptime` and `clock` in seconds, `away` the seconds of one round trip, `jobs` those running."""

    gpus: tuple[Gpu, ...]
    memory: Usage
    disk: Usage
    uptime: float
    cpus: int
    load: float
    clock: float
    python: str
    torch: str
    jobs: int
    away: float

    @property
    def kind(self) -> str:
        """The machine in a word or two: `Tesla T4 15 GB`, `2 x ...`, or its cores where it has no GPU."""
        if not self.gpus:
            return f"no GPU, {self.cpus} CPU cores"
        first = self.gpus[0]
        many = f"{len(self.gpus)} x " if len(self.gpus) > 1 else ""
        return f"{many}{first.name} {round(first.memory.total / 2**30)} GB"


def ask_machine(agent: Conversation, workdir: str) -> Machine:
    """What the agent's machine is and does. Raises Unreachable."""
    started = time.monotonic()
    agent.ask("ping")
    away = time.monotonic() - started
    asked = agent.start("machine", workdir=workdir), agent.start("job_list")
    said, listed = (exchange.whole() for exchange in asked)
    jobs = listed.listing()
    try:
        return _machine(said.result, sum(job["state"] not in OVER for job in jobs), away)
    except (KeyError, TypeError, ValueError) as error:
        raise ColabRemoteError(f"`{agent.host}` described itself in a way that makes no sense: {error}") from None


def _machine(said: dict[str, Any], jobs: int, away: float) -> Machine:
    return Machine(
        gpus=tuple(_gpu(gpu) for gpu in said["gpus"]),
        memory=_usage(said["memory"]),
        disk=_usage(said["disk"]),
        uptime=float(said["uptime"]),
        cpus=int(said["cpus"] or 1),
        load=float(said["load"]),
        clock=float(said["clock"]),
        python=_word(said["python"]),
        torch=_word(said["torch"]),
        jobs=jobs,
        away=away,
    )


def _gpu(said: dict[str, Any]) -> Gpu:
    degrees = said.get("degrees")
    return Gpu(_word(said["name"]), _usage(said), float(said["load"]), None if degrees is None else float(degrees))


def _usage(said: dict[str, Any]) -> Usage:
    return Usage(int(said["total"]), int(said["used"]))


def _word(text: object) -> str:
    """One line of what the runtime says."""
    return " ".join(str(text or "").split())
