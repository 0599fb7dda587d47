"""Looking for a better configuration with Optuna: the space, the study, the words after `search.py`."""

from __future__ import annotations

from tuning.command_line import Tell, search

__all__ = ["Tell", "search"]
