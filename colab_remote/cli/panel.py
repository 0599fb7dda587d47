"""The live panel of a training on a terminal; elsewhere its log alone."""

from __future__ import annotations

import codecs
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from colab_remote.cli.output import output, visible
from colab_remote.cli.show import Show
from colab_remote.cli.tables import amount
from colab_remote.laptop.home import SMALL, Arrival, Output
from colab_remote.laptop.metrics import NAME, Metrics, plot, read_metrics

if TYPE_CHECKING:
    from rich.live import Live

_BAR = 32  # characters
_SELDOM = 0.2  # seconds between two looks at a file on its way
_MEMORY = 20  # looks at the metrics that the rate is taken from


@contextmanager
def watched(root: Path) -> Iterator[Panel]:
    """What the log of a project's training is shown by, and its outputs that have come home."""
    shown = output()
    if shown.json or shown.quiet or not sys.stderr.isatty():
        yield Panel(root, None)
        return
    from rich.console import Console
    from rich.live import Live

    # What is said on stderr meanwhile goes above the panel by itself, the log by `Panel.log`.
    with Live(console=Console(stderr=True), transient=True, auto_refresh=False, redirect_stdout=False) as live:
        yield Panel(root, live)


class Panel:
    """Epoch, measures, rate and what is at home, `live` below a log that scrolls; without it the log alone."""

    def __init__(self, root: Path, live: Live | None) -> None:
        self.live, self._root, self._show = live, root, Show()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._metrics: Metrics | None = None
        self._pace: deque[tuple[float, Metrics]] = deque(maxlen=_MEMORY)
        self._home = ""
        self._drawn = 0.0

    def log(self, piece: bytes) -> None:
        """Show the log's whole lines above the panel, of one that was written over and over the last."""
        if self.live is None or not sys.stdout.isatty():
            self._show(piece)
            return
        from rich.text import Text

        *lines, self._line = (self._line + self._decoder.decode(piece)).split("\n")
        for line in lines:
            self.live.console.print(Text.from_ansi(line.rstrip("\r").rpartition("\r")[2]), soft_wrap=True)

    def arrived(self, arrival: Arrival) -> None:
        """Look at what came home."""
        if self.live is None:
            return
        if Path(arrival.path).name == NAME:
            self._metrics = read_metrics((self._root / arrival.path).read_text("utf-8", "replace"))
            if self._metrics:
                self._pace.append((time.monotonic(), self._metrics))
        elif arrival.checkpoint:
            self._home = f"home   {arrival.path} · {time.strftime('%H:%M:%S')}"
        self._draw("")

    def moving(self, output: Output, here: int) -> None:
        """Show how much of an output that takes a while is here."""
        if self.live is None or output.size <= SMALL or time.monotonic() - self._drawn < _SELDOM:
            return
        self._draw(f"home   {output.path} on its way, {amount(here)} of {amount(output.size)}")

    def _draw(self, way: str) -> None:
        from rich.text import Text

        assert self.live is not None
        self._drawn = time.monotonic()
        lines = [*(panel_lines(self._metrics, *self._rates()) if self._metrics else ()), self._home, way]
        self.live.update(Text(visible("\n".join(filter(None, lines)))), refresh=True)

    def _rates(self) -> tuple[float, float]:
        """Images a second and seconds left, 0 where they are not known."""
        (began, first), (now, last) = self._pace[0], self._pace[-1]
        seconds = now - began
        if seconds <= 0 or last.done <= first.done:
            return 0.0, 0.0
        return (last.images - first.images) / seconds, (1 - last.done) * seconds / (last.done - first.done)


def panel_lines(metrics: Metrics, rate: float, left: float) -> list[str]:
    """The panel's lines: where the training is, `rate` images a second, `left` seconds to go, and its loss."""
    bar = ("#" * round(metrics.done * _BAR)).ljust(_BAR, "-") if metrics.epochs else f"step {metrics.step:,}"
    words = [bar, *(f"{name} {value:.4f}" for name, value in metrics.shown(3))]
    words += [f"{rate:,.0f} images/s"] if rate > 0 else []
    words += [f"{int(left // 60)}:{int(left % 60):02} left"] if left > 0 else []
    lines = [f"epoch  {metrics.epoch}{f'/{metrics.epochs}' if metrics.epochs else ''}  {'  '.join(words)}"]
    if metrics.best:
        lines.append(f"best   epoch {metrics.best[0]} ({metrics.best[1]:.4f})")
    if len(metrics.losses) > 1:
        lines.append(f"loss   {plot(metrics.losses, _BAR)}  {metrics.losses[0]:.3g} -> {metrics.losses[-1]:.3g}")
    return lines
