"""The words after `search.py`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from config import Document, Refused, flat, read_document
from tuning.space import suggest, with_values
from tuning.study import open_storage, serve, work

Tell = Callable[[dict[str, Any]], None]
Train = Callable[[Document, Tell], None]


def search(words: Sequence[str], train: Train, monitor: str, about: str) -> int:
    """Do what `words` say; the process's exit code.

    `train` trains a configuration and tells each record of its metrics.jsonl; `monitor` is the key that names what to
    judge by, "min val_loss".
    """
    asked = _read(words, about)
    try:
        if asked.serve:
            serve(asked.storage, asked.serve)
            return 0
        document, space = read_document(asked.config), read_document(asked.space)
        goal, _, name = str(flat(document).get(monitor)).partition(" ")
        if goal not in ("min", "max"):
            raise Refused(f"`{monitor}` must say what to judge by, such as `min val_loss`")
        study = optuna.create_study(
            storage=open_storage(asked.storage),
            study_name=asked.study,
            sampler=optuna.samplers.TPESampler(constant_liar=True),  # several workers try different values
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
            direction=f"{goal}imize",
            load_if_exists=True,
        )

        def attempt(trial: optuna.Trial) -> float:
            judge = Judge(trial, goal, name)
            train(with_values(document, suggest(trial, space)), judge)
            if judge.best is None:
                raise Refused(f"`{monitor}`: nothing is called `{name}`")
            return judge.best

        for trial in work(study, asked.trials, attempt, asked.grace):
            _say(trial)
            _write_best(study, document, asked.out)
    except Refused as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


class Judge:
    """Tells Optuna of a trial's epochs; `best` is its best value so far. Raises TrialPruned where it is in vain."""

    def __init__(self, trial: optuna.Trial, goal: str, name: str) -> None:
        self._trial, self._goal, self._name = trial, goal, name
        self.best: float | None = None

    def __call__(self, record: dict[str, Any]) -> None:
        """A record of metrics.jsonl; only those of an epoch's end count."""
        if "epochs" not in record or self._name not in record:
            return
        value = record[self._name]
        self.best = value if self.best is None else {"min": min, "max": max}[self._goal](self.best, value)
        self._trial.report(value, record["epoch"])
        if self._trial.should_prune():
            raise optuna.TrialPruned


def _read(words: Sequence[str], about: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("-c", "--config", type=Path, default=Path("config.json"), help="what to begin with")
    parser.add_argument("--space", type=Path, default=Path("space.json"), help="which keys to vary, and how")
    parser.add_argument("--trials", type=int, default=20, help="of all workers together")
    parser.add_argument("--study", default="search", help="its name; one that is there is gone on with")
    parser.add_argument(
        "--storage", default="sqlite:///saved/search.db", metavar="URL", help="or grpc://localhost:PORT"
    )
    parser.add_argument("--serve", type=int, metavar="PORT", help="hand the study to workers that come there")
    parser.add_argument("--grace", type=float, default=60.0, metavar="SECONDS", help="a worker silent so long is dead")
    parser.add_argument("--out", type=Path, default=Path("saved/best.json"), help="the best configuration so far")
    return parser.parse_args(words)


def _say(trial: FrozenTrial) -> None:
    shown = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in trial.params.items()}
    values = "  ".join(f"{key} {value}" for key, value in shown.items())
    result = f"{trial.value:.4f}" if trial.value is not None else "-"
    print(f"trial {trial.number:>3}  {trial.state.name.lower():<8}  {result}  {values}", flush=True)


def _write_best(study: optuna.Study, document: Document, path: Path) -> None:
    """The best configuration, to be trained as it is; nothing before a trial was completed."""
    try:
        best = study.best_params
    except ValueError:
        return
    from journal.whole import whole_file  # here, because `--serve` runs without torch

    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(json.dumps(with_values(document, best), indent=4, ensure_ascii=False).encode() + b"\n")
