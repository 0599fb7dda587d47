"""Paired timings for scripts/bench: ours and the rival's in turn, medians, one table."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence


def seconds_of(action: Callable[[], object]) -> float:
    """How long `action` takes, in seconds."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def command(*words: str, env: dict[str, str] | None = None) -> Callable[[], object]:
    """An action that runs a command to its successful end."""
    return lambda: subprocess.run(words, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def in_turn(actions: Sequence[Callable[[], object]], runs: int) -> list[list[float]]:
    """Each action's seconds, `runs` of them, run in turn after one warm-up, so that drift hits all alike."""
    for action in actions:
        action()
    times = [[seconds_of(action) for action in actions] for _ in range(runs)]
    return [list(column) for column in zip(*times, strict=True)]


def medians(actions: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """Each action's median seconds over `runs`, run in turn."""
    return [statistics.median(column) for column in in_turn(actions, runs)]


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table under the command that prints it."""
    print(f"\n## {title}\n\n`scripts/bench {sys.argv[0].rpartition('bench_')[2].removesuffix('.py')}`\n")
    for row in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(row)} |")
