"""A run: its parts, its loop, its checkpoints."""

from __future__ import annotations

from run.begin import begin, resume
from run.loop import Interrupted, run
from run.processes import number, together

__all__ = ["Interrupted", "begin", "number", "resume", "run", "together"]
