"""A notebook's live kernel, as a test drives it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient


@dataclass
class Kernel:
    """A notebook's live kernel on a VM of its own; `secrets` is what Colab's Secrets pane holds."""

    client: NotebookClient
    secrets: Path
    home: Path

    def run(self, code: str) -> list[dict[str, Any]]:
        """A cell's outputs."""
        cell = nbformat.v4.new_code_cell(code)
        self.client.nb.cells.append(cell)
        self.client.execute_cell(cell, len(self.client.nb.cells) - 1)
        return [dict(output) for output in cell.outputs]

    def error(self, code: str) -> str:
        """What a cell that fails shows in place of a traceback."""
        shown = next(output for output in self.run(code) if output["output_type"] == "error")
        return "\n".join(shown["traceback"])

    def keep(self, **secrets: str | None) -> None:
        self.secrets.write_text(json.dumps(secrets))
