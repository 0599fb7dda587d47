"""What a run leaves behind for people: its folder and its metrics."""

from __future__ import annotations

from journal.folder import describe_run, make_run_folder
from journal.progress import Progress
from journal.records import Journal

__all__ = ["Journal", "Progress", "describe_run", "make_run_folder"]
