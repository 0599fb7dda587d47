"""The VM dies, the laptop's process dies, both do: the training ends with the same bits. More of it: scripts/chaos."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from storm import Storm, Victim


@pytest.mark.timeout(400)
@pytest.mark.parametrize("victim", ["runtime", "laptop", "both"])
def test_a_training_ends_with_the_same_bits_whatever_dies(victim: Victim) -> None:
    # Not below `tmp_path`, which bears the test's name: a socket's path has to be short.
    with TemporaryDirectory(prefix="storm-") as scratch, Storm(Path(scratch), seed=7) as storm:
        storm.training(1, victim, kills=1)
