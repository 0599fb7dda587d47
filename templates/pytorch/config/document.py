"""The configuration as a document: read from a file, overridden by the command line, compared with another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.refused import Refused

Document = dict[str, Any]


def read_document(path: Path) -> Document:
    """The JSON object in the file `path`. Raises Refused."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Refused(f"the configuration `{path}` cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise Refused(f"`{path}` is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise Refused(f"`{path}` must hold an object in braces")
    return document


def override(document: Document, assignment: str) -> None:
    """Apply `trainer.epochs=3` to `document`: the value is JSON, or else a text. Raises Refused."""
    place, equals, value = assignment.partition("=")
    *path, key = place.strip().split(".")
    if not equals or not all((*path, key)):
        raise Refused(f"`{assignment}` sets nothing; write `trainer.epochs=3`")
    section: Any = document
    for name in path:
        section = section.setdefault(name, {})
        if not isinstance(section, dict):
            raise Refused(f"`{place}` cannot be set: `{name}` is no object in braces")
    try:
        section[key] = json.loads(value)
    except ValueError:
        section[key] = value


def flat(document: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Every single value by its full name: `{"trainer.epochs": 3, ...}`."""
    values: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            values |= flat(value, f"{place}{key}.")
        else:
            values[place + key] = value
    return values


def expect_same(wanted: Document, used: Document, free: tuple[str, ...]) -> None:
    """Raise Refused, naming the keys, where a configuration is not the one that a checkpoint was `used` with.

    The sections `free` may differ: how long to train and what to write where are no part of what was learnt.
    """
    there, here = flat(used), flat(wanted)
    keys = [key for key in sorted(there | here) if key.partition(".")[0] not in free]
    different = [key for key in keys if there.get(key) != here.get(key)]
    if different:
        told = ", ".join(f"`{key}` ({there.get(key)!r} there, {here.get(key)!r} here)" for key in different)
        undo = "undo that in the configuration or on the command line to go on from it"
        raise Refused(f"the checkpoint is of another configuration: {told}; {undo}")
