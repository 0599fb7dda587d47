"""What a run leaves behind for people: its folder, its metrics, a line about how it goes."""

from __future__ import annotations

from journal.folder import describe_run, make_run_folder
from journal.progress import Progress
from journal.records import Journal
from journal.whole import whole_file

__all__ = ["Journal", "Progress", "describe_run", "make_run_folder", "whole_file"]
