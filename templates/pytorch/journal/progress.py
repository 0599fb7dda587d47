"""How a run goes, on the terminal."""

from __future__ import annotations

import sys
import time
from typing import Any

_PAUSE = 0.2  # seconds between two drawings of the progress line
_WIDTH = 24  # characters of the bar


class Progress:
    """A line an epoch, and on a terminal a line that moves.

    `images` are those of an epoch, `seen` of them were looked at before. `verbosity` 0 is silent, 1 has no moving line.
    """

    def __init__(self, epochs: int, images: int, seen: int, verbosity: int) -> None:
        self._epochs, self._images, self._verbosity = epochs, images, verbosity
        self._moving = verbosity > 1 and sys.stdout.isatty()
        self._drawn = 0.0
        self._start, self._before, self._trained = time.monotonic(), seen, 0

    def step(self, epoch: int, images: int) -> None:
        """`images` more were trained on."""
        self._trained += images
        now = time.monotonic()
        if not self._moving or now - self._drawn < _PAUSE:
            return
        self._drawn = now
        share = min((self._before + self._trained) % self._images / self._images, 1.0)
        bar = ("#" * round(share * _WIDTH)).ljust(_WIDTH, "-")
        rate = self._trained / (now - self._start)
        print(f"\r\x1b[Kepoch {epoch:>3}/{self._epochs}  {bar}  {rate:,.0f} images/s", end="", flush=True)

    def epoch(self, record: dict[str, Any]) -> None:
        """An epoch ended with these means."""
        rate = self._trained / (time.monotonic() - self._start)
        left = ((self._epochs - record["epoch"]) * self._images) / rate if rate else 0.0
        named = ("loss", "val_loss", "val_accuracy")
        values = "  ".join(f"{name} {record[name]:.4f}" for name in named if name in record)
        self.say(f"epoch {record['epoch']:>3}/{self._epochs}  {values}  {rate:>7,.0f} images/s  {_clock(left)} left")

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._verbosity:
            print(("\r\x1b[K" if self._moving else "") + text, flush=True)


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02}"
