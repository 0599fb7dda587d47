"""Pictures of how a run went, where they are wanted and matplotlib is installed."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

from journal.whole import whole_file


def draw(folder: Path, text: str, confusion: Tensor) -> None:
    """Write `curves.png` and `confusion.png` into `folder`; without matplotlib say so and write nothing.

    `text` is that of metrics.jsonl, `confusion` int64 [classes, classes] counts images by label and by answer.
    """
    if find_spec("matplotlib") is None:
        print("no pictures are drawn: matplotlib is not installed (pip install matplotlib)", file=sys.stderr)
        return
    records = [json.loads(line) for line in text.splitlines()]
    _save(_curves([record for record in records if "epochs" in record]), folder / "curves.png")
    _save(_matrix(confusion), folder / "confusion.png")


def _curves(epochs: list[dict[str, Any]]) -> Any:
    """Each measure over the epochs, in training and in validation."""
    names = [name for name, value in epochs[-1].items() if isinstance(value, float) and not name.startswith("val_")]
    figure = _figure(4 * len(names), 3)
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot(1, len(names), place)
        for key in (name, f"val_{name}"):
            if key in epochs[-1]:
                axes.plot([record["epoch"] for record in epochs], [record[key] for record in epochs], label=key)
        axes.set_xlabel("epoch")
        axes.locator_params("x", integer=True)
        axes.set_title(name)
        axes.legend()
    return figure


def _matrix(confusion: Tensor) -> Any:
    """The counts, each row coloured by its shares."""
    classes = range(len(confusion))
    side = max(6, 0.5 * len(classes))
    figure = _figure(side, side)
    axes = figure.add_subplot(xticks=classes, yticks=classes)
    shares = confusion / confusion.sum(dim=1, keepdim=True).clamp(min=1)
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    for row, counts in enumerate(confusion.tolist()):
        for column, count in enumerate(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, count, ha="center", va="center", fontsize=8, color=colour)
    axes.set_xlabel("answer")
    axes.set_ylabel("label")
    return figure


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # drawn into files alone: needs no display, keeps no state

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=120)
