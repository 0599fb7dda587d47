"""What should hold of a model whatever you change in it."""

from __future__ import annotations

import torch
from small import small
from torch import nn
from torch.nn import functional

from metrics.measures import top_k_acc
from model import DigitsModel
from model.loss import cross_entropy
from model.watch import watch_activations


def test_a_batch_gives_a_score_for_each_class() -> None:
    parts = small().parts
    pixels, labels = next(parts.split.train.batches(torch.arange(64), 64))
    scores = parts.model(pixels)
    assert scores.shape[0] == 64
    assert scores.shape[1] > int(labels.max())
    assert scores.isfinite().all()


def test_every_parameter_learns() -> None:
    parts = small().parts
    pixels, labels = next(parts.split.train.batches(torch.arange(64), 64))
    parts.loss(parts.model(pixels), labels).backward()  # type: ignore[no-untyped-call]
    still = [name for name, weight in parts.model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not still


def test_one_batch_can_be_learnt_by_heart() -> None:
    parts = small().parts
    pixels, labels = next(parts.split.train.batches(torch.arange(32), 32))
    for _ in range(300):
        parts.optimizer.zero_grad()
        loss = parts.loss(parts.model(pixels), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        parts.optimizer.step()
    assert loss.item() < 0.2


def test_the_loss_is_what_torch_calls_cross_entropy() -> None:
    scores, labels = torch.randn(7, 10), torch.arange(7)
    torch.testing.assert_close(cross_entropy(scores, labels), functional.cross_entropy(scores, labels))


def test_the_model_knows_how_to_normalise_its_images() -> None:
    parts = small().parts
    normalise = parts.model.get_submodule("normalise")
    normalised = normalise(parts.split.train.sample())
    assert abs(float(normalised.mean())) < 1e-3
    assert abs(float(normalised.std()) - 1) < 1e-3
    assert "normalise.mean" in parts.model.state_dict()


def test_what_is_switched_off_is_an_identity() -> None:
    model = DigitsModel(width=4, dropout=0.0, batch_norm=False)
    assert isinstance(model.dropout, nn.Identity)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())


def test_activations_are_watched_only_as_long_as_asked() -> None:
    model = DigitsModel(width=4)
    with watch_activations(model) as seen:
        model(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
    assert 0 <= seen["stem.0.2"]["dead"] <= 1
    assert not any(layer._forward_hooks for layer in model.modules())


def test_a_label_of_few_classes_is_always_among_the_highest_scores() -> None:
    assert top_k_acc(torch.randn(5, 2), torch.tensor([0, 1, 1, 0, 1]), k=3) == 1
