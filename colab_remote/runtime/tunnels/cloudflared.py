"""Cloudflare's quick tunnel: an HTTPS address without an account, which leads to the bridge.

What `cloudflared` says of itself is asked at its own metrics address: `/ready`, and `/quicktunnel` for the name
(https://developers.cloudflare.com/cloudflare-one/connections/connect-networks/do-more-with-tunnels/trycloudflare/).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any

from colab_remote.both.whole import write_whole
from colab_remote.errors import ColabRemoteError
from colab_remote.runtime.bridge import Bridge
from colab_remote.runtime.ending import end_tree
from colab_remote.runtime.tunnels import Address, Plan, free_port, from_here, web_address

PROGRAM = "CLOUDFLARED_PATH"
_CONFIG = "cloudflared.yml"
_PATIENCE = 30  # seconds for the address to be there
_RECONNECT = 30  # seconds in which it may bring its connections back
_LOOK = 5  # seconds between two looks
_NOTE = "a quick tunnel: Cloudflare promises nothing about it, and each start has a new address"


class Cloudflared:
    """A running `cloudflared`, and the bridge that it leads to. Raises ColabRemoteError."""

    def __init__(self, port: int, plan: Plan) -> None:
        program = _program()
        write_whole(plan.state / _CONFIG, b"")  # a config of the user's would keep it from a quick tunnel
        self._metrics = f"127.0.0.1:{free_port()}"
        self._bridge = Bridge(from_here(plan.bind_host), port)
        words = ["tunnel", "--no-autoupdate", "--config", str(plan.state / _CONFIG), "--metrics", self._metrics]
        self._process = subprocess.Popen(
            [program, *words, "--url", f"http://127.0.0.1:{self._bridge.port}"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            plan.begun()
            self.address = self._awaited()
        except BaseException:
            self.close()
            raise
        self._looked = self._up = time.monotonic()

    def alive(self) -> bool:
        """Whether it runs and is connected, or may yet be again."""
        if self._process.poll() is not None or not self._bridge.alive():
            return False
        if time.monotonic() - self._looked > _LOOK:
            self._looked = time.monotonic()
            if self._asked("ready"):
                self._up = self._looked
        return time.monotonic() - self._up < _RECONNECT

    def close(self) -> None:
        """End both."""
        if self._process.poll() is None:  # else its pid may be another's by now
            end_tree(self._process.pid)
            self._process.wait()
        self._bridge.close()

    def _awaited(self) -> Address:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._asked("ready") and (name := self._asked("quicktunnel").get("hostname")):
                return web_address(f"https://{name}", "cloudflared", _NOTE)
            time.sleep(0.1)
        ended = f"ended with {self._process.returncode}" if self._process.poll() is not None else "has no address"
        raise ColabRemoteError(
            f"cloudflared {ended} after {_PATIENCE - max(0, deadline - time.monotonic()):.0f} s",
            "launch again in a minute (Cloudflare allows so many quick tunnels at a time), or with another tunnel",
        )

    def _asked(self, what: str) -> dict[str, Any]:
        """Its answer, empty for none."""
        try:
            with urllib.request.urlopen(f"http://{self._metrics}/{what}", timeout=2) as answer:
                said: dict[str, Any] = json.loads(answer.read(1 << 16))
                return said
        except (OSError, ValueError, urllib.error.URLError):
            return {}


def open_tunnel(port: int, plan: Plan) -> Cloudflared:
    """Open a quick tunnel to sshd's `port`. Raises ColabRemoteError."""
    return Cloudflared(port, plan)


def _program() -> str:
    named = os.environ.get(PROGRAM, "cloudflared")
    found = shutil.which(named)
    if not found:
        raise ColabRemoteError(
            f"this machine has no `{named}`",
            "download it from https://github.com/cloudflare/cloudflared/releases, put it on PATH or name it: "
            f"{PROGRAM}=/path/to/cloudflared",
        )
    return found
