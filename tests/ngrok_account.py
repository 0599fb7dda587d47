"""The stand-in for ngrok's agent, installed where a test's processes find it, and the token that it takes."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ngrok_agent
import psutil

TOKEN = "2abcDEFghi'JKLmno_5pQrStUvWxYz0123456789"


@dataclass(frozen=True)
class Agent:
    """The stand-in, in the place where pyngrok is told to look for the agent."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"PYNGROK_NGROK_PATH": str(self.folder / "ngrok"), "NGROK_AUTHTOKEN": TOKEN}

    def mood(self, **mood: object) -> None:
        whole = self.folder / "mood.new"
        whole.write_text(json.dumps(mood))
        whole.replace(self.folder / "mood.json")

    def starts(self) -> list[dict[str, Any]]:
        log = self.folder / "agents.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def running(self) -> list[int]:
        return [one["pid"] for one in self.starts() if runs(one["pid"])]


def install_agent(folder: Path) -> Agent:
    """The stand-in as the program `ngrok` in `folder`, which is made."""
    made = Agent(folder)
    made.folder.mkdir()
    program = made.folder / "ngrok"
    program.write_text(f"#!{sys.executable}\n{Path(ngrok_agent.__file__).read_text()}")
    program.chmod(0o700)
    return made


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
