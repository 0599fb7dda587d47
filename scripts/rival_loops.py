"""The loops that `bench_template.py` and `gpu-check.py` compare the template's with, written anew from descriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

BATCH = 128
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def bare(pixels: torch.Tensor, labels: torch.Tensor, model: torch.nn.Module, loss: Loss) -> Callable[[], None]:
    """The least that trains: no metrics, no records, no checkpoints."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, amsgrad=True)
    on_gpu = pixels.device.type == "cuda"

    def epoch() -> None:
        model.train()
        for chosen in torch.randperm(len(labels), device=pixels.device).split(BATCH):
            optimizer.zero_grad()
            loss(model(pixels[chosen]), labels[chosen]).backward()
            optimizer.step()
        if on_gpu:
            torch.cuda.synchronize()

    return epoch


class Samples(Dataset[tuple[torch.Tensor, int]]):
    """One image at a time, as torchvision's MNIST with ToTensor and Normalize gives it (without PIL's detour)."""

    def __init__(self, pixels: torch.Tensor, labels: torch.Tensor) -> None:
        self.pixels, self.labels = pixels, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return (self.pixels[index].float().div(255) - 0.1307) / 0.3081, int(self.labels[index])


def sample_by_sample(
    pixels: torch.Tensor, labels: torch.Tensor, model: torch.nn.Module, board: Any = None
) -> Callable[[], None]:
    """As victoresque/pytorch-template is described: two workers, and each step asks for its numbers.

    With a `board`, TensorBoard's writer, as its configuration has it: each step's numbers, and each 11th step's images.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, amsgrad=True)
    loader = DataLoader(Samples(pixels, labels), BATCH, shuffle=True, num_workers=2)

    def epoch() -> None:
        model.train()
        totals = {"loss": 0.0, "accuracy": 0.0, "top_k_acc": 0.0}
        for step, (image, label) in enumerate(loader):
            optimizer.zero_grad()
            scores = model(image)
            loss = functional.nll_loss(scores, label)
            loss.backward()
            optimizer.step()
            totals["loss"] += loss.item()
            with torch.no_grad():
                totals["accuracy"] += (scores.argmax(1) == label).sum().item() / len(label)
                best = scores.topk(3, dim=1).indices
                totals["top_k_acc"] += sum((best[:, k] == label).sum().item() for k in range(3)) / len(label)
            if board is None:
                continue
            for name, total in {**totals, "steps_per_sec": step}.items():
                board.add_scalar(name, total, step)
            if step % 11 == 0:
                board.add_images("input", image, step)

    return epoch


def lightnings(pixels: torch.Tensor, labels: torch.Tensor, model: torch.nn.Module, logs: bool) -> Callable[[], None]:
    """Lightning's Trainer without logger, bar and checkpoints, over a DataLoader without workers; `logs` each step."""
    from lightning.pytorch import LightningModule, Trainer

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            loss = functional.nll_loss(self.model(batch[0]), batch[1])
            if logs:
                self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.001, amsgrad=True)

    loader = DataLoader(TensorDataset(pixels, labels), BATCH, shuffle=True)
    quiet: Any = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=0, accelerator="cpu", enable_checkpointing=False, **quiet)
    module = Module()

    def epoch() -> None:
        trainer.fit_loop.max_epochs = (trainer.fit_loop.max_epochs or 0) + 1
        trainer.fit(module, loader)

    return epoch


class Residual(torch.nn.Module):
    """A small ResNet for images of 32x32 in colour."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, width, 3, padding=1)
        self.blocks = torch.nn.ModuleList(
            torch.nn.Sequential(
                torch.nn.BatchNorm2d(width),
                torch.nn.ReLU(),
                torch.nn.Conv2d(width, width, 3, padding=1),
                torch.nn.BatchNorm2d(width),
                torch.nn.ReLU(),
                torch.nn.Conv2d(width, width, 3, padding=1),
            )
            for _ in range(3)
        )
        self.head = torch.nn.Linear(width, 10)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.stem(pixels.float() / 255)
        for block in self.blocks:
            features = features + block(features)
        scores: torch.Tensor = self.head(features.mean(dim=(2, 3)))
        return scores
