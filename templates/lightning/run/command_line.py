"""The words after `train.py`, and the configuration: LightningCLI's."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from run.classifier import Classifier
from run.images import ImagesModule
from run.keep import Run
from run.signals import noted_signals

# Exact by default. The order of the images is ours to draw, each process's share too.
_TRAINER = {
    "deterministic": True,
    "logger": False,
    "use_distributed_sampler": False,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
    "enable_progress_bar": False,  # there is one of ours
}


_SECTIONS = ("seed_everything", "run", "model", "data", "optimizer", "lr_scheduler", "trainer")
Tell = Callable[[dict[str, Any]], None]


class CommandLine(LightningCLI):
    """`fit`, `validate`, `test` with `-c config.json`, any key as `--trainer.max_epochs 3`; `fit` tests at its end."""

    def __init__(self, words: Sequence[str] | None = None, tell: Tell | None = None) -> None:
        """Do what `words` say, or the process's own arguments; `tell` each record. Raises Interrupted, Refused."""
        self._tell = tell
        with noted_signals() as self._signals:
            super().__init__(
                Classifier,
                ImagesModule,
                save_config_callback=None,
                seed_everything_default=1,
                trainer_defaults=_TRAINER,
                args=None if words is None else list(words),
            )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The section `run`."""
        parser.add_lightning_class_args(Run, "run")

    def before_fit(self) -> None:
        """Tell the run what it is made of."""
        config = self.config["fit"]
        keeper = self._keeper()
        keeper.checkpoint = Path(config["ckpt_path"]) if config["ckpt_path"] else None
        text = self._parser("fit").dump(config, format="json")
        keeper.document = {key: value for key, value in json.loads(text).items() if key in _SECTIONS}
        keeper.signals = self._signals
        keeper.listeners = [self._tell] if self._tell else []
        self.datamodule.seed = config["seed_everything"]

    def after_fit(self) -> None:
        """Measure the best weights on what was never trained on."""
        best = self._keeper().best_model
        if best is not None:
            self.model.load_state_dict(best)
        self.trainer.test(self.model, self.datamodule, verbose=False)

    def _keeper(self) -> Run:
        trainer: Any = self.trainer
        return next(callback for callback in trainer.callbacks if isinstance(callback, Run))
