"""A model on images that it is not trained on."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from data.images import Source
from metrics import Meter, confusion
from run.processes import align_buffers, count, number, total
from run.speed import in_precision
from run.training import Training


@torch.no_grad()
def evaluate(training: Training, images: Source, prefix: str) -> dict[str, float]:
    """The means over `images`, their names with `prefix`; none where there are no images."""
    if not len(images):
        return {}
    parts = training.parts
    meter = Meter(parts.measures, parts.device, total)
    for scores, labels in answers(training, images):
        meter.add(parts.loss(scores, labels), scores, labels, len(labels))
    return {prefix + name: value for name, value in meter.means().items()}


@torch.no_grad()
def count_confusions(training: Training, images: Source) -> Tensor:
    """How many of `images` of each label got each answer: int64 [classes, classes], on the CPU."""
    counts = [confusion(scores, labels) for scores, labels in answers(training, images)]
    return total(torch.stack(counts).sum(dim=0)).cpu()


def answers(training: Training, images: Source) -> Iterator[tuple[Tensor, Tensor]]:
    """The model's scores and the labels of this process's share of `images`, batch by batch."""
    parts = training.parts
    align_buffers(parts.model)
    parts.model.eval()
    for pixels, labels in images.batches(torch.arange(number(), len(images), count()), 4 * parts.batch_size):
        with in_precision(parts.device, parts.precision):
            scores = parts.model(pixels)
        yield scores.float(), labels
