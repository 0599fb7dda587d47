"""Streams beside the conversation on which bodies come: sshd takes 2 MB in advance on each channel, and no more."""

from __future__ import annotations

import hmac
import socket
import time
from contextlib import suppress
from typing import Any

from colab_remote.agent.serve import Call, Method
from colab_remote.both.protocol import Taken

_GLANCE = 0.1  # seconds between two looks whether the laptop still wants them
_PATIENCE = 10.0  # seconds for who connects to say that it is the laptop,
_IN_ALL = 30.0  # and for all of them


def open_lanes(call: Call) -> dict[str, Any]:
    """Take `count` streams, on which bodies come from the next call on, at a port of the loopback; tell it the laptop.

    Others on this machine do not know its `secret`. Where it cannot reach the port it cancels: whether they are `open`.
    """
    deadline = time.monotonic() + _IN_ALL
    count, secret = int(call.arguments["count"]), bytes.fromhex(call.arguments["secret"])
    lanes: dict[int, socket.socket] = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_GLANCE)
        call.event({"port": listener.getsockname()[1]})
        while len(lanes) < count:
            if call.cancelled(0) or time.monotonic() > deadline:
                return {"open": False}
            with suppress(OSError):
                lane, _ = listener.accept()
                lanes |= _admitted(lane, secret)
    call.take_bodies_from([lanes[number] for number in sorted(lanes)])
    return {"open": True}


def _admitted(lane: socket.socket, secret: bytes) -> dict[int, socket.socket]:
    """The stream by its number, which follows the secret; none where that is another."""
    lane.settimeout(_PATIENCE)
    said = Taken(lane.recv)(len(secret) + 1)
    if not hmac.compare_digest(said[:-1], secret):
        lane.close()
        return {}
    lane.settimeout(None)
    return {said[-1]: lane}


METHODS: dict[str, Method] = {"lanes_open": open_lanes}
