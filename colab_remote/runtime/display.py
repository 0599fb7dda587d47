"""The notebook's display, or the terminal: the one door through which the runtime's side speaks."""

from __future__ import annotations

import sys
from collections.abc import Callable


def in_notebook() -> bool:
    """Whether this is a notebook's kernel: only there Colab gives secrets, and somebody may answer a question."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and hasattr(shell, "kernel")


def say(text: str) -> None:
    """A line, or several."""
    print(text, flush=True)


def show(text: str, html: str) -> None:
    """The same in two forms: a notebook shows `html` where it can."""
    if not in_notebook():
        say(text)
        return
    from IPython.display import display

    display({"text/plain": text, "text/html": html}, raw=True)


def one_line(text: str, longest: int) -> str:
    """What others named or said, with nothing in it that could do something to a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:longest])


def updated_line() -> Callable[[str], None]:
    """What to call with a line that takes the place of the one before."""
    if not in_notebook():
        return lambda line: print(f"\r{line}\x1b[K", end="", flush=True)
    from IPython.display import DisplayHandle

    handle = DisplayHandle()
    handle.display({"text/plain": ""}, raw=True)
    return lambda line: handle.update({"text/plain": line}, raw=True)
