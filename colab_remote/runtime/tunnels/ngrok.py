"""ngrok: an address at their edge, and their agent here, which carries what comes there to us."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pyngrok.conf import PyngrokConfig
from pyngrok.log import NgrokLog
from pyngrok.ngrok import api_request

from colab_remote.errors import ColabRemoteError
from colab_remote.runtime.secrets import TOKEN
from colab_remote.runtime.tunnels import Address, Plan, from_here, web_address
from colab_remote.runtime.tunnels.ngrok_process import CONFIG, PATIENCE, end_agent, start_agent, within

_RECONNECT = 30  # seconds in which the agent may bring back a session that it lost
_NOTE = "free plans carry about 1 GB a month: https://dashboard.ngrok.com/usage shows yours"
_LOOK = 5  # seconds between two looks at its endpoints when its log is still


class Ngrok:
    """A running agent, and its one endpoint once `lead` was called. Raises ColabRemoteError."""

    address: Address

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.session, self.refused = True, False
        self.looked = 0.0  # when its endpoints were listed, by the monotonic clock
        settings = PyngrokConfig(
            config_path=str(plan.state / CONFIG),
            region=plan.region,
            log_event_callback=self._heard,
            request_timeout=PATIENCE,
            start_new_session=True,
        )
        self.agent = start_agent(plan, settings)

    def lead(self, kind: str, upstream: str) -> None:
        """Open an endpoint of that kind, `tcp://` or `https://`, to the address `upstream`."""
        wanted = {"name": "colab-remote", "url": kind, "upstream": {"url": upstream}}
        self.address = within(PATIENCE, self.plan, lambda: address_of(self._ask("POST", wanted)))
        self.up = time.monotonic()

    def alive(self) -> bool:
        """Whether the agent runs and has its session, or may yet bring it back."""
        if self.refused or self.agent.proc.poll() is not None:
            return False
        if time.monotonic() - self.looked > _LOOK:
            self.looked = time.monotonic()
            self._look()
        return time.monotonic() - self.up < _RECONNECT

    def close(self) -> None:
        """End the agent; nothing of it stays."""
        end_agent(self.plan.state)

    def _look(self) -> None:
        """Take in whether the endpoint is there, and its address: after a reconnect it may be another."""
        try:
            found = within(PATIENCE, self.plan, lambda: [address_of(one) for one in self._ask("GET")["endpoints"]])
        except ColabRemoteError:
            return
        if found and self.session:
            self.address, self.up = replace(found[0], note=self.address.note), time.monotonic()

    def _ask(self, method: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        return api_request(f"{self.agent.api_url}/api/endpoints", method, data, timeout=PATIENCE)

    def _heard(self, line: NgrokLog) -> None:
        """Take in a line of the agent's log, on a thread of pyngrok's."""
        said = line.msg or ""
        if "session established" in said:
            self.session, self.refused = True, False
        elif "session" in said and line.lvl in ("ERROR", "CRITICAL"):
            self.session = False
            self.refused = self.refused or "ERR_NGROK_" in line.line
        self.looked = 0.0


def open_tunnel(port: int, plan: Plan) -> Ngrok:
    """Open a TCP tunnel to `port`. Raises ProviderRefused where ngrok says no, else ColabRemoteError."""
    with started(plan) as tunnel:
        lead_tcp(tunnel, port)
        return tunnel


def lead_tcp(tunnel: Ngrok, port: int) -> None:
    """Give `tunnel` a TCP address that leads to sshd's `port`."""
    host = from_here(tunnel.plan.bind_host)
    tunnel.lead("tcp://", f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


@contextmanager
def started(plan: Plan) -> Iterator[Ngrok]:
    """A running agent, ended again where the `with` block fails."""
    # The agent repeats the token in its log, and pyngrok repeats the log.
    logger = logging.getLogger("pyngrok")
    logger.handlers, logger.propagate = [logging.NullHandler()], False
    # pyngrok would put a token that it finds there into argv; the agent might prefer it to the one in its file.
    os.environ.pop(TOKEN, None)
    end_agent(plan.state)
    try:
        yield Ngrok(plan)
    except BaseException:
        end_agent(plan.state)
        raise


def address_of(endpoint: dict[str, Any]) -> Address:
    """Where an endpoint can be reached. What the agent answers is data: raises where it is no such thing."""
    url = endpoint.get("public_url") or endpoint["url"]
    tcp = re.fullmatch(r"tcp://([A-Za-z0-9][A-Za-z0-9.-]*):([0-9]{1,5})", url)
    if tcp:
        return Address("ssh", tcp[1], int(tcp[2]), "ngrok", _NOTE)
    return web_address(url, "ngrok-http", _NOTE)
