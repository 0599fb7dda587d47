"""A run's folder, `saved/NAME/RUN_ID/`, and what it says of how the run was made."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from journal.whole import whole_file


def make_run_folder(save_dir: str, name: str) -> Path:
    """A new folder for a run, named by the time: month, day, hour, minute, second."""
    stem = Path(save_dir, name, time.strftime("%m%d-%H%M%S"))
    folder, number = stem, 1
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            folder = stem.with_name(f"{stem.name}-{number}")
        else:
            return folder


def describe_run(folder: Path, document: dict[str, Any], device: torch.device) -> None:
    """Write `document` as `config.json`, and `environment.json` into the run's folder."""
    for name, facts in (("config.json", document), ("environment.json", _environment(device))):
        with whole_file(folder / name) as file:
            file.write(json.dumps(facts, indent=4, ensure_ascii=False).encode() + b"\n")


def _environment(device: torch.device) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads",
        "system": platform.platform(),
        "command": sys.argv,
        "commit": _git("rev-parse", "HEAD"),
        "changed": _git("status", "--porcelain").splitlines(),
    }


def _git(*words: str) -> str:
    """What git says; nothing where there is no git or no repository."""
    try:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.rstrip()
    except (OSError, subprocess.CalledProcessError):
        return ""
