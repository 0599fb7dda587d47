"""The configuration: JSON in the file, typed dataclasses here, a sentence for each mistake in it."""

from __future__ import annotations

from config.checked import build, expect_known
from config.command_line import Wishes, read_command_line
from config.document import Document, expect_same, flat, read_document
from config.named import find, make
from config.refused import Diverged, Refused
from config.sections import Config, Part, Speed, Trainer

__all__ = [
    "Config",
    "Diverged",
    "Document",
    "Part",
    "Refused",
    "Speed",
    "Trainer",
    "Wishes",
    "build",
    "expect_known",
    "expect_same",
    "find",
    "flat",
    "make",
    "read_command_line",
    "read_document",
]
