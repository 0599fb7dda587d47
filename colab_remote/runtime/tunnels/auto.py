"""The best way out that the account has: ngrok's TCP, or its HTTPS where TCP would need a card."""

from __future__ import annotations

from dataclasses import replace

from colab_remote.errors import ProviderRefused
from colab_remote.runtime.tunnels import Plan, Tunnel
from colab_remote.runtime.tunnels.ngrok import lead_tcp, started
from colab_remote.runtime.tunnels.ngrok_codes import code_in, wants_card
from colab_remote.runtime.tunnels.ngrok_http import NgrokHttp


def open_tunnel(port: int, plan: Plan) -> Tunnel:
    """Open a tunnel to `port`; its note says why it is no TCP. Raises ProviderRefused, else ColabRemoteError."""
    with started(plan) as tunnel:
        try:
            lead_tcp(tunnel, port)
        except ProviderRefused as error:
            if not wants_card(error):
                raise
            made = NgrokHttp(tunnel, port)
            tunnel.address = replace(tunnel.address, note=f"TCP needs a card on this account ({code_in(error)})")
            return made
        return tunnel
