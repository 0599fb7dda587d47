"""Cut off and killed at any moment, with edits going on: nothing torn, nothing lost, no false conflict."""

from __future__ import annotations

from pathlib import Path

import pytest
from pair import new_pair
from turmoil import Turmoil


@pytest.mark.parametrize("seed", range(25))
def test_after_a_cut_or_a_kill_the_next_sync_settles_everything(tmp_path: Path, seed: int) -> None:
    turmoil = Turmoil(new_pair(tmp_path), seed)
    for _ in range(12):
        turmoil.edit()
    for _ in range(2):
        turmoil.round()
