"""A run: its parts, its loop, its checkpoints."""

from __future__ import annotations

from run.begin import begin, resume
from run.loop import Interrupted, run

__all__ = ["Interrupted", "begin", "resume", "run"]
