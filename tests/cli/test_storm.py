"""VM or laptop dies, or the network goes: the training ends with the same bits. More of it: scripts/chaos."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import pytest
from storm import Storm, Victim


@pytest.mark.timeout(600)
def test_a_training_ends_with_the_same_bits_whatever_dies() -> None:
    # Not below `tmp_path`, which bears the test's name: a socket's path has to be short.
    with TemporaryDirectory(prefix="storm-") as scratch, Storm(Path(scratch), seed=7) as storm:
        for number, victim in enumerate(get_args(Victim)):
            storm.training(number, victim, kills=1)
        storm.away(4)
