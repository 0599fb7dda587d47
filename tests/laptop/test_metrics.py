"""metrics.jsonl as the panel reads it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colab_remote.cli.panel import panel_lines
from colab_remote.laptop.metrics import plot, read_metrics

END = {"epoch": 1, "step": 100, "epochs": 4, "images": 6400, "loss": 0.5, "val_accuracy": 0.8, "lr": 0.1}
WITHIN = {"epoch": 2, "step": 150, "images": 9600, "loss": 0.25}


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_a_run_within_its_second_epoch() -> None:
    found = read_metrics(lines(END, WITHIN))
    assert found is not None
    assert (found.epoch, found.epochs, found.step, found.images, found.done) == (2, 4, 150, 9600, 0.375)
    assert found.shown(2) == [("loss", 0.25), ("val_accuracy", 0.8)]
    assert panel_lines(found, 18420.4, 112) == [
        "epoch  2/4  ############--------------------  loss 0.2500  val_accuracy 0.8000  lr 0.1000  "
        "18,420 images/s  1:52 left",
        "best   epoch 1 (0.8000)",
        "loss   #.  0.5 -> 0.25",
    ]


def test_a_file_of_another_projects_own_says_what_it_can() -> None:
    found = read_metrics('not json\n{"step": 3, "loss": 1.5}\n[1]\n{"step": 4, "loss": NaN}\n')
    assert found is not None
    assert panel_lines(found, 0, 0) == ["epoch  0  step 4  loss 1.5000"]


def test_the_best_epoch_has_the_best_accuracy_else_the_smallest_loss_of_validation() -> None:
    epochs = [{"epoch": epoch, "val_loss": loss} for epoch, loss in ((1, 0.9), (2, 0.4), (3, 0.6))]
    found = read_metrics(lines(*epochs))
    assert found is not None
    assert found.best == (2, 0.4)
    accurate = read_metrics(lines(*epochs, {"epoch": 3, "val_accuracy": 0.9}, {"epoch": 4, "val_accuracy": 0.8}))
    assert accurate is not None
    assert accurate.best == (3, 0.9)


@pytest.mark.parametrize("text", ["", "\n", "nothing\n", "[]\n"])
def test_a_file_that_says_nothing(text: str) -> None:
    assert read_metrics(text) is None


@given(st.lists(st.floats(-1e300, 1e300), max_size=50), st.integers(1, 20))
def test_a_plot_has_a_character_for_each_value_or_some(values: list[float], width: int) -> None:
    assert len(plot(values, width)) == min(len(values), width)


@given(
    st.text()
    | st.recursive(
        st.none() | st.integers() | st.floats() | st.text(),
        lambda inner: st.dictionaries(st.sampled_from(["epoch", "epochs", "step", "loss", "images"]), inner),
    ).map(json.dumps)
)
def test_whatever_the_file_holds_the_panel_stands(text: str) -> None:
    found = read_metrics(text)
    if found:
        panel_lines(found, 1.0, 1.0)
