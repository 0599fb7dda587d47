"""Deaths of the runtime, the laptop's process, or both, during a training: `chaos_jobs.py [TRAININGS] [SEED]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from storm import Storm, Victim  # noqa: E402

VICTIMS: tuple[Victim, ...] = ("runtime", "laptop", "both")


def main() -> None:
    """Train and kill; the first training that ends with other bits ends it."""
    trainings, seed = (int(word) for word in [*sys.argv[1:], *("20", "1")[len(sys.argv) - 1 :]][:2])
    with tempfile.TemporaryDirectory(prefix="storm-") as scratch, Storm(Path(scratch), seed) as storm:
        for number in range(trainings):
            storm.training(number, VICTIMS[number % len(VICTIMS)], kills=storm.random.randrange(1, 4))
            told = f"{number + 1} of {trainings} trainings bit-identical, {storm.kills} kills"
            print(f"\r{told}, at most {storm.repeated:.1f} s of checkpoints lost with a disk", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
