"""A run: its parts, its loop, its checkpoints."""

from __future__ import annotations

from run.begin import begin, resume, start
from run.loop import run
from run.processes import number, together
from run.signals import Interrupted

__all__ = ["Interrupted", "begin", "number", "resume", "run", "start", "together"]
