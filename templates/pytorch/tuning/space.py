"""Which keys of a configuration are varied, and how: `space.json`.

{"optimizer.args.lr": {"low": 0.0003, "high": 0.03, "log": true}, "arch.args.width": {"choices": [16, 32, 64]}}
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import optuna

from config import Document, Refused
from config.document import override


def suggest(trial: optuna.Trial, space: Document) -> dict[str, Any]:
    """A value for each key of `space`. Raises Refused, naming the key."""
    return {key: _suggest_one(trial, key, span) for key, span in space.items()}


def with_values(document: Document, values: Mapping[str, Any]) -> Document:
    """A copy of `document` with `values` for some keys by their full names. Raises Refused."""
    changed = copy.deepcopy(document)
    for key, value in values.items():
        override(changed, f"{key}={json.dumps(value)}")
    return changed


def _suggest_one(trial: optuna.Trial, key: str, span: Any) -> Any:
    try:
        if "choices" in span:
            return trial.suggest_categorical(key, span["choices"])
        ends = [span["low"], span["high"]]
        number = trial.suggest_int if all(isinstance(end, int) for end in ends) else trial.suggest_float
        return number(key, *ends, log=span.get("log", False))
    except (KeyError, TypeError, ValueError) as error:
        wanted = '`{"low": 0.1, "high": 1}`, with `"log": true` where it is a scale, or `{"choices": [1, 2]}`'
        raise Refused(f"the space's `{key}` must read like {wanted} ({error})") from None
