"""A project's set-up on this runtime: done once for each text of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from colab_remote.agent.serve import Call, Method
from colab_remote.both.processes import boot_id
from colab_remote.both.whole import read_json, write_json


def needed(call: Call) -> dict[str, Any]:
    """Whether the set-up with that digest has still to be run here; packages go with the VM, so its boot counts."""
    try:
        done = read_json(_record(call))
    except (OSError, ValueError):
        return {"needed": True}
    return {"needed": (done.get("digest"), done.get("boot")) != (call.arguments["digest"], boot_id())}


def done(call: Call) -> dict[str, Any]:
    """Note that the set-up with that digest was run."""
    write_json(_record(call), {"digest": call.arguments["digest"], "boot": boot_id()})
    return {}


def _record(call: Call) -> Path:
    folder = Path(call.arguments["folder"]) / ".colab-remote"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / "setup.json"


METHODS: dict[str, Method] = {"setup_needed": needed, "setup_done": done}
