"""What launch shows."""

from __future__ import annotations

from colab_remote.runtime import Runtime


def plain(runtime: Runtime) -> str:
    """The card as text."""
    return f'\nOn your laptop:\n  colab-remote connect "{runtime.ticket}"\n'


def show(runtime: Runtime) -> None:
    """Show it."""
