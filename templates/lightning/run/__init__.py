"""A run with Lightning: what it trains, what it is shown, how it is kept."""

from __future__ import annotations

from run.command_line import CommandLine
from run.signals import Interrupted

__all__ = ["CommandLine", "Interrupted"]
