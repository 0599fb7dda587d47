"""Through a machine of the user's own, as `ssh -J` goes: with the user's settings, keys and known hosts."""

from __future__ import annotations

import socket

from colab_remote.errors import GONE, ColabRemoteError, Refused, Unreachable
from colab_remote.laptop.client import how_to_install, installed, ssh_words
from colab_remote.laptop.program import dial_program


def dial_through(via: str, host: str, port: int, timeout: float) -> socket.socket:
    """A stream to `host` and `port` as the machine `via` (`USER@HOST[:PORT]`) sees them.

    Raises Refused where this laptop may not go through it, Unreachable where it cannot.
    """
    if not installed():
        raise Refused("this machine has no `ssh`, and the ticket leads through one", f"install it: {how_to_install()}")
    return dial_program(jump_argv(via, host, port), timeout, lambda said: _sentence(said, via, f"{host}:{port}"))


def jump_argv(via: str, host: str, port: int) -> list[str]:
    """The `ssh -W` that leads there."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    options = ["-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oClearAllForwardings=yes"]
    return [*ssh_words(), *options, "-W", target, "--", f"ssh://{via}"]


def _sentence(said: str, via: str, target: str) -> ColabRemoteError:
    relay = via.partition(":")[0]
    by_hand = f"log in to it once by hand, which settles that: ssh {relay}"
    if "Host key verification failed" in said:
        return Refused(f"this laptop does not know the host key of `{relay}`, or another one than it shows", by_hand)
    if "Permission denied" in said:
        return Refused(f"`{relay}` does not let this laptop in", by_hand)
    if "open failed" in said:
        return Unreachable(f"nobody listens at `{target}` of `{relay}`", GONE)
    last = said.rpartition("\n")[2].strip()
    return Unreachable(f"`{relay}` cannot be reached: {last or 'ssh did not say why'}", "check this laptop's network")
