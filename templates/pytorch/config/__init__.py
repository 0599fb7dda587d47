"""The configuration: JSON in the file, typed dataclasses here, a sentence for each mistake in it."""

from __future__ import annotations

from config.checked import build
from config.command_line import Wishes, read_command_line
from config.document import Document, expect_same, read_document
from config.named import find, make
from config.refused import Refused
from config.sections import Config, Part, Speed, Trainer

__all__ = [
    "Config",
    "Document",
    "Part",
    "Refused",
    "Speed",
    "Trainer",
    "Wishes",
    "build",
    "expect_same",
    "find",
    "make",
    "read_command_line",
    "read_document",
]
