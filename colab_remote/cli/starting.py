"""The options of the commands that start a job."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from colab_remote.laptop.variables import variables

HOST = "The host; the project's, or the only one, where it is left out."
_OPTIONS = (
    click.option("--host", "host_name", help=HOST),
    click.option("--detach", is_flag=True, help="Print the job's id and leave it running."),
    click.option("--name", default="", help="What to call the job."),
    click.option(
        "-e",
        "--env",
        "words",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="A variable for the job; without =VALUE, this laptop's value.",
    ),
    click.option(
        "--env-file",
        "file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A file of such lines, NAME=VALUE or NAME; `#` begins a comment.",
    ),
    click.option("--stop-on-interrupt", is_flag=True, help="Ctrl-C or SIGTERM ends the job too: for scripts."),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked of a job, whatever it runs. `environment` may hold secrets."""

    host_name: str | None
    detach: bool
    name: str
    stop_on_interrupt: bool
    environment: dict[str, str] = field(repr=False)


def starts_a_job(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options; it gets them as `wish`."""

    @functools.wraps(command)
    def with_wish(*args: Any, words: tuple[str, ...], file: Path | None, **others: Any) -> Any:
        asked = {name: others.pop(name) for name in ("host_name", "detach", "name", "stop_on_interrupt")}
        return command(*args, wish=Wish(**asked, environment=variables(words, file, os.environ)), **others)

    return functools.reduce(lambda inner, option: option(inner), reversed(_OPTIONS), with_wish)
