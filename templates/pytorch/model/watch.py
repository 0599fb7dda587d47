"""Look into a model while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def watch_activations(model: nn.Module, kind: type[nn.Module] = nn.ReLU) -> Iterator[dict[str, dict[str, float]]]:
    """Statistics of what the layers of `kind` gave last, by the layers' names, as long as the `with` lasts.

        with watch_activations(model) as seen:
            model(pixels)
        print(seen["stem.0.2"]["dead"])  # the share of activations that are 0

    Each layer gets a forward hook, a function that PyTorch calls with the layer's output. Hooks cost time (these wait
    for the device) and stay until they are removed; here they are removed whatever happens.
    """
    seen: dict[str, dict[str, float]] = {}

    def hook(name: str) -> Any:
        def look(layer: nn.Module, inputs: Any, output: Tensor) -> None:
            values = output.detach().float()
            facts = {"mean": values.mean(), "spread": values.std(), "dead": (values == 0).float().mean()}
            seen[name] = {fact: float(value) for fact, value in facts.items()}

        return look

    handles = [
        layer.register_forward_hook(hook(name)) for name, layer in model.named_modules() if isinstance(layer, kind)
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
