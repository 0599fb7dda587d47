"""A notebook's live kernel, as a test drives it."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
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

    def run(self, code: str, meanwhile: Callable[[Any], None] = lambda cell: None) -> list[dict[str, Any]]:
        """A cell's outputs; `meanwhile` is called with the cell as it runs, in a thread of its own."""
        cell = nbformat.v4.new_code_cell(code)
        self.client.nb.cells.append(cell)
        watcher = threading.Thread(target=meanwhile, args=(cell,))
        watcher.start()
        self.client.execute_cell(cell, len(self.client.nb.cells) - 1)
        watcher.join()
        return [dict(output) for output in cell.outputs]

    @property
    def manager(self) -> Any:
        """What starts it, and whose type says less than that."""
        return self.client.km

    def interrupt(self) -> None:
        """What the button does."""
        os.kill(self.manager.provisioner.pid, signal.SIGINT)

    def error(self, code: str) -> str:
        """What a cell that fails shows in place of a traceback."""
        shown = next(output for output in self.run(code) if output["output_type"] == "error")
        return "\n".join(shown["traceback"])

    def keep(self, **secrets: str | None) -> None:
        self.secrets.write_text(json.dumps(secrets))
