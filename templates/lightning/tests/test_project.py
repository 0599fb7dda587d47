"""What should hold whatever you change: the network's shapes, and what is said of a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from data import DigitsDataLoader
from model import DigitsModel
from model.loss import cross_entropy
from run import CommandLine
from run.batches import Batches

ROOT = Path(__file__).parent.parent


def test_one_batch_can_be_learnt_by_heart() -> None:
    torch.manual_seed(1)
    pixels, labels = next(DigitsDataLoader(str(ROOT / "data")).read().train.batches(torch.arange(32), 32))
    network = DigitsModel(width=4)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.003)
    for _ in range(300):
        optimizer.zero_grad()
        loss = cross_entropy(network(pixels), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss.item() < 0.2


@pytest.mark.parametrize("world", [1, 4])
def test_processes_share_an_epoch_and_it_is_taken_up_in_its_middle(world: int) -> None:
    images = DigitsDataLoader(str(ROOT / "data")).read().train
    shown = 0
    for rank in range(world):
        whole = [labels for _, labels in Batches(images, 64, 1, rank, world)]
        first = Batches(images, 64, 1, rank, world)
        begun = [labels for _, (_, labels) in zip(range(5), first, strict=False)]
        second = Batches(images, 64, 1, rank, world)
        second.load_state_dict(first.state_dict())
        assert len(second) == len(whole)
        assert torch.equal(torch.cat(begun + [labels for _, labels in second]), torch.cat(whole))
        shown += sum(map(len, whole))
    assert 0 <= shown - len(images) < world


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--trainer.epochs", "3"], "trainer.epochs"),
        (["--model.network.init_args.widht", "8"], "widht"),
        (["--data.loader", "data.DigitLoader"], "DigitLoader"),
    ],
)
def test_a_mistake_is_named(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, pytest.warns(UserWarning, match="args"):
        CommandLine(["fit", "-c", str(ROOT / "config.json"), *words])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
