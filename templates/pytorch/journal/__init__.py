"""What a run leaves behind for people: its folder, its metrics, a line about how it goes."""

from __future__ import annotations

from journal.board import board
from journal.folder import describe_run, make_run_folder
from journal.plots import draw
from journal.progress import Progress
from journal.records import Journal
from journal.whole import whole_file

__all__ = ["Journal", "Progress", "board", "describe_run", "draw", "make_run_folder", "whole_file"]
