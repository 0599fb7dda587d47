"""SSH in WebSocket frames: what the bridge on the runtime and the dialer on the laptop agree on."""

from __future__ import annotations

PATH = "/.colab-remote/ssh"  # where a runtime's HTTP endpoint leads to its sshd
PIECE = 1 << 18  # bytes in a frame
LARGEST = 1 << 20  # bytes in the largest frame that is taken
PING = 14  # seconds between two pings, and for the answer: a half-open connection is noticed within 30, and hung up
