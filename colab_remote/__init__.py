"""What a notebook imports: `colab_remote.launch()`, the `Runtime` it returns, and what colab-ssh calls its own."""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know it; nobody waits for the import of `typing`, or interrupts it
if TYPE_CHECKING:
    from colab_remote.runtime import Runtime, launch
    from colab_remote.runtime.colab_ssh import init_git, init_git_cloudflared, launch_ssh, launch_ssh_cloudflared

__all__ = ["Runtime", "init_git", "init_git_cloudflared", "launch", "launch_ssh", "launch_ssh_cloudflared"]


def __getattr__(name: str) -> object:
    # Imported when first named: the command line imports this package at every start and needs none of it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from colab_remote import runtime
    from colab_remote.runtime import colab_ssh

    return getattr(runtime if name in ("Runtime", "launch") else colab_ssh, name)
