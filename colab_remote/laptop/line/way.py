"""How this system's processes meet at a door."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from colab_remote.laptop.line.pipes import connect, listen, wait_for_hangup
else:
    from colab_remote.laptop.line.sockets import connect, listen, wait_for_hangup

__all__ = ["connect", "listen", "wait_for_hangup"]
