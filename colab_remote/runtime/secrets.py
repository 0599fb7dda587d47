"""Colab's secrets, else the environment."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass, field

from colab_remote.errors import Refused
from colab_remote.runtime.display import in_notebook

TOKEN = "NGROK_AUTHTOKEN"
HOST_KEY = "SSH_HOST_KEY"
PUBLIC_KEY = "SSH_PUBLIC_KEY"
RELAY_KEY = "RELAY_KEY"

_WHERE = "click the key icon on the left"
TOKEN_PAGE = "https://dashboard.ngrok.com/get-started/your-authtoken"


@dataclass(frozen=True, slots=True)
class Found:
    """A secret's value, None for none; and `advice`, what to do where it is missed."""

    value: str | None = field(repr=False)
    advice: str


def look_up(name: str) -> Found:
    """The Colab secret called `name`, else the variable. Raises Refused for one that this notebook may not read."""
    value, advice = _from_colab(name) if in_notebook() else (None, f"set the environment variable `{name}`")
    return Found(value or os.environ.get(name) or None, advice)


def secret(name: str) -> str | None:
    """The value that `look_up` finds."""
    return look_up(name).value


def ngrok_token(given: str | None) -> str:
    """ngrok's token: `given`, the secret, the variable, or what a person types. Raises Refused where there is none."""
    if given and given.strip():
        return given.strip()
    found = look_up(TOKEN)
    token = found.value or (_asked() if in_notebook() else "")
    if not token.strip():
        raise Refused(
            "the tunnel needs an ngrok token, and there is none",
            f"copy it from {TOKEN_PAGE} (free), then {found.advice}",
        )
    return token.strip()


def in_colab() -> bool:
    """Whether this machine is one of Colab's."""
    return "COLAB_RELEASE_TAG" in os.environ or "google.colab" in sys.modules


def _from_colab(name: str) -> tuple[str | None, str]:
    try:
        from google.colab import userdata
    except ImportError:
        return None, f"set the environment variable `{name}`"
    add = f'{_WHERE}, add the secret `{name}`, switch on "Notebook access", and run the cell again'
    try:
        value = userdata.get(name)
        return value if isinstance(value, str) else None, add
    except Exception as error:
        # Known by name: the real NotebookAccessError is a plain Exception, in a module of its own.
        kind = type(error).__name__
    if kind == "NotebookAccessError":
        raise Refused(
            f"this notebook may not read the Colab secret `{name}`",
            f'{_WHERE}, switch on "Notebook access" for `{name}`, and run the cell again',
        )
    if kind == "TimeoutException":
        return (
            None,
            f"open this notebook at https://colab.research.google.com: elsewhere no secret can be read; there {add}",
        )
    return None, add


def _asked() -> str:
    """What a person types; empty where nobody can."""
    try:
        return getpass.getpass(f"ngrok token ({TOKEN_PAGE}): ")
    except (EOFError, OSError, NotImplementedError, RuntimeError):
        return ""
