"""Mistakes in the configuration are named with their place, and the nearest right thing."""

from __future__ import annotations

from typing import Any

import pytest
from small import ROOT, small

from config import Config, Refused, build, read_document
from config.document import override


def test_a_task_for_skypilot_is_one() -> None:
    sky = pytest.importorskip("sky", reason="SkyPilot is not installed")
    task = sky.Task.from_yaml(str(ROOT / "sky.yaml"))
    assert task.num_nodes == 1


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("trainer.epoch=3", "`trainer.epoch` means nothing; did you mean `epochs`?"),
        ('trainer.epochs="many"', "`trainer.epochs` must be a whole number"),
        ("trainer.epochs=0", "`trainer.epochs` must be 1 or more"),
        ("arch.type=DigitModel", "`arch.type`: no `DigitModel` in `model`; did you mean `DigitsModel`?"),
        ("arch.args.widht=8", "`arch.args.widht` means nothing; did you mean `width`?"),
        ("optimizer.args.lr=fast", "`optimizer.args`: AdamW says: "),
        ('metrics=["acuracy"]', "`metrics[0]`: no `acuracy` in `metrics.measures`; did you mean `accuracy`?"),
        ("data_loader.args.data_dir=nowhere/", "the digits, cannot be read"),
    ],
)
def test_a_mistake_is_named(assignment: str, says: str) -> None:
    document = read_document(ROOT / "config.json")
    document["data_loader"]["args"]["data_dir"] = str(ROOT / "data")
    override(document, assignment)
    with pytest.raises(Refused) as refused:
        sections: dict[str, Any] = {key: document[key] for key in document if key != "trainer"}
        build(Config, document)
        small(**sections)
    assert says in str(refused.value)
