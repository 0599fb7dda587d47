"""What reaches the terminal: data on stdout, everything said about it on stderr."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from colab_remote.errors import ColabRemoteError

SCHEMA = 1
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(slots=True)
class Output:
    """How this run prints, and the global options that say so."""

    json: bool = False
    quiet: bool = False
    debug: bool = False
    timeout: float | None = None
    raw: bool = False  # the terminal takes a line feed for just that

    def report(self, document: dict[str, Any], lines: Iterable[str]) -> None:
        """Print what a command found: one JSON document with --json, else the lines."""
        if self.json:
            # In ASCII: whoever reads it knows nothing of our console's encoding, and names may hold lone surrogates.
            print(json.dumps({"schema": SCHEMA, **document}), flush=True)
            return
        for line in lines:
            print(line, flush=True)

    def say(self, text: str) -> None:
        """Tell the person what happens, on stderr; silent with --quiet."""
        if not self.quiet:
            end = "\r\n" if self.raw else "\n"
            with suppress(OSError):  # nobody reads it, or it is on a full disk: what the command does goes on
                print(text.replace("\n", end), file=sys.stderr, end=end, flush=True)

    def fail(self, error: ColabRemoteError) -> None:
        """Print an error and what to do next, on stdout too where a program reads."""
        if self.json:
            with suppress(OSError):  # it may be what failed
                self.report({"error": facts_of(error)}, ())
        if self.debug:
            import traceback

            traceback.print_exception(error)
        hint = f"\n\nhint: {visible(error.hint)}" if error.hint else ""
        with suppress(OSError):
            print(f"error: {visible(error.message)}{hint}", file=sys.stderr, flush=True)


def suit_consoles() -> None:
    """Have what a console cannot show take another form there, where it would end the command."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who called us: what is opened next must not take its number
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    codecs.register_error("plainer", _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainer")
    if sys.platform == "win32":
        from colorama import just_fix_windows_console

        just_fix_windows_console()  # one that takes escape sequences for letters


def _plainer(error: UnicodeError) -> tuple[str | bytes, int]:
    """Our separator as a dash, other letters as Python writes them."""
    if isinstance(error, UnicodeEncodeError) and error.object[error.start] == "·":
        return "-", error.start + 1
    return codecs.backslashreplace_errors(error)


def facts_of(error: ColabRemoteError) -> dict[str, Any]:
    """An error in a document."""
    return {"code": error.code, "message": error.message, "hint": error.hint, "exit": error.exit_code}


def output() -> Output:
    """The running command's Output."""
    found = click.get_current_context().find_root().obj
    assert isinstance(found, Output)
    return found


def reports(command: Command) -> Command:
    """Give a command `--json`."""

    def choose(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        context.find_root().obj.json |= value

    option = click.option(
        "--json", is_flag=True, expose_value=False, callback=choose, is_eager=True, help="One JSON document on stdout."
    )
    return option(command)


def visible(text: str) -> str:
    """`text` with its control characters shown, line ends and tabs apart: what others named may hold any."""
    return "".join(c if c in "\n\t" else in_one_line(c) for c in text)


def in_one_line(text: str) -> str:
    """`text` with all its control characters shown."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
