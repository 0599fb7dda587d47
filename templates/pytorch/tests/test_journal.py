"""What a run leaves for people."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from small import small

from journal import Journal
from metrics import confusion
from run import run


def test_pictures_and_a_board_where_they_can_be_made_and_a_sentence_where_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(small(trainer={"epochs": 2, "verbosity": 0, "plots": True, "tensorboard": True}), Journal(tmp_path))
    said = capsys.readouterr().err
    for package, left in (("matplotlib", ["confusion.png", "curves.png"]), ("tensorboard", ["tensorboard"])):
        installed = find_spec(package) is not None
        assert [(tmp_path / name).exists() for name in left] == [installed] * len(left)
        assert (f"pip install {package}" in said) != installed


def test_confusions_are_counted_by_label_and_answer() -> None:
    scores = torch.tensor([[9.0, 1.0], [8.0, 2.0], [3.0, 7.0], [6.0, 4.0]])
    assert confusion(scores, torch.tensor([0, 0, 1, 1])).tolist() == [[2, 0], [1, 1]]
