"""What a notebook imports: `colab_remote.launch()` and the `Runtime` it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from colab_remote.runtime import Runtime, launch

__all__ = ["Runtime", "launch"]


def __getattr__(name: str) -> object:
    # Imported when first named: the command line imports this package at every start and needs none of it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from colab_remote import runtime

    return getattr(runtime, name)
