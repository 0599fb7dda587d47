"""How a training goes, by its `metrics.jsonl`: docs/metrics.md describes the file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

NAME = "metrics.jsonl"
_RAMP = ".:-=+*#"
_BY = (("val_accuracy", 1), ("val_loss", -1))  # what the best epoch is judged by, and whether more is better
_FIRST = ("loss", "accuracy", "val_loss", "val_accuracy")  # the measures that are shown before others


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where a run is: `epoch` of `epochs` and `step`, 0 where the file does not say; `done` of it, from 0 to 1.

    `images` were trained on since its beginning, `measures` are the latest of each name, `losses` all of the loss.
    `best` is the epoch of the best validation so far and its value, None where there was none.
    """

    epoch: int
    epochs: int
    step: int
    images: int
    done: float
    measures: dict[str, float]
    losses: tuple[float, ...]
    best: tuple[int, float] | None

    def shown(self, count: int) -> list[tuple[str, float]]:
        """The first `count` measures that people ask for."""
        names = [*(name for name in _FIRST if name in self.measures), *self.measures]
        return [(name, self.measures[name]) for name in list(dict.fromkeys(names))[:count]]


def read_metrics(text: str) -> Metrics | None:
    """What the file's whole lines say, None where they say nothing; what is no record is passed over."""
    records = list(_records(text))
    if not records:
        return None
    measures = {name: value for record in records for name, value in record.items() if _is_measure(value)}
    latest = {name: value for record in records for name, value in record.items() if isinstance(value, int)}
    epoch, epochs, step = (int(latest.get(name, 0)) for name in ("epoch", "epochs", "step"))
    losses = tuple(record["loss"] for record in records if _is_measure(record.get("loss")))
    done, images = _done(records, epoch, epochs), latest.get("images", 0)
    return Metrics(epoch, epochs, step, images, done, measures, losses, _best(records))


def plot(values: Sequence[float], width: int) -> str:
    """Values as characters of more and more ink, the largest the darkest: `#*+=-::..`; at most `width` of them."""
    if not values:
        return ""
    count = min(width, len(values))
    means = [_mean(values[len(values) * i // count : len(values) * (i + 1) // count]) for i in range(count)]
    low, high = min(means), max(means)
    scale = (len(_RAMP) - 1) / (high - low) if high > low else 0.0
    return "".join(_RAMP[round((mean - low) * scale)] for mean in means)


def _records(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def _done(records: Sequence[dict[str, Any]], epoch: int, epochs: int) -> float:
    """By steps once an epoch has said how many it has, until then by epochs that are over."""
    ends = [record for record in records if _counts(record, "epochs", "epoch", "step")]
    if not ends or epochs <= 0:
        return 0.0
    steps = ends[-1]["step"] / ends[-1]["epoch"] * epochs
    last = max(record["step"] for record in records if _counts(record, "step"))
    return float(min(1.0, last / steps))


def _best(records: Sequence[dict[str, Any]]) -> tuple[int, float] | None:
    for name, sign in _BY:
        judged = [record for record in records if _counts(record, "epoch") and _is_measure(record.get(name))]
        if judged:
            best = max(judged, key=lambda record: sign * record[name])
            return best["epoch"], best[name]
    return None


def _counts(record: dict[str, Any], *names: str) -> bool:
    return all(isinstance(record.get(name), int) and record[name] > 0 for name in names)


def _is_measure(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
