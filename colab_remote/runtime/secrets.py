"""Colab's secrets, else the environment."""

from __future__ import annotations

import os


def secret(name: str) -> str | None:
    """The secret called `name`."""
    return os.environ.get(name) or None
