"""The configuration as a document, and what a person can correct in it; LightningCLI reads it (run/command_line.py)."""

from __future__ import annotations

from config.document import Document, expect_same, flat, read_document
from config.refused import Diverged, Refused

__all__ = ["Diverged", "Document", "Refused", "expect_same", "flat", "read_document"]
