"""Variables for a job, as docker's `-e` and `--env-file` take them: NAME=VALUE, or NAME for the value it has here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from colab_remote.errors import Refused


def variables(words: Iterable[str], file: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """What the lines of `file` and then `words` set; `environ` is this laptop's. Raises Refused, naming no value."""
    lines = _lines(file) if file else []
    return dict(_variable(said, environ) for said in (*lines, *words))


def _lines(file: Path) -> Iterator[str]:
    """The lines that say something: docker's format has comments and empty lines, and takes quotes as they are."""
    try:
        text = os.fsdecode(file.read_bytes()).removeprefix("\ufeff")
    except OSError as error:
        raise Refused(f"`{file}` cannot be read: {error.strerror}", "name a file of NAME=VALUE lines") from None
    lines = (line.removesuffix("\r").lstrip() for line in text.split("\n"))
    return (line for line in lines if line and not line.startswith("#"))


def _variable(said: str, environ: Mapping[str, str]) -> tuple[str, str]:
    name, given, value = said.partition("=")
    if not name or not name.isprintable() or " " in name or "\0" in value:
        raise Refused("a variable has no name that can be set", "write it as NAME=VALUE, or NAME for its value here")
    if not given and name not in environ:
        raise Refused(f"`{name}` is not set here", f"set it, or say {name}=VALUE")
    return name, value if given else environ[name]
