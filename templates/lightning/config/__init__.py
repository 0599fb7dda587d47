"""The configuration as a document, and what a person can correct in it; LightningCLI reads it (run/command_line.py)."""

from __future__ import annotations

from config.document import Document, expect_same
from config.refused import Refused

__all__ = ["Document", "Refused", "expect_same"]
