"""ngrok without a card: SSH in WebSocket frames, over the one HTTPS address that every account has."""

from __future__ import annotations

from colab_remote.runtime.bridge import Bridge
from colab_remote.runtime.tunnels import Address, Plan, from_here
from colab_remote.runtime.tunnels.ngrok import Ngrok, started


class NgrokHttp:
    """An agent whose endpoint leads to a bridge, and the bridge to sshd's `port`."""

    def __init__(self, tunnel: Ngrok, port: int) -> None:
        self._tunnel, self._bridge = tunnel, Bridge(from_here(tunnel.plan.bind_host), port)
        try:
            tunnel.lead("https://", f"http://127.0.0.1:{self._bridge.port}")
        except BaseException:
            self._bridge.close()
            raise

    @property
    def address(self) -> Address:
        """Where the endpoint is now."""
        return self._tunnel.address

    def alive(self) -> bool:
        """Whether agent and bridge both carry."""
        return self._bridge.alive() and self._tunnel.alive()

    def close(self) -> None:
        """End both."""
        self._tunnel.close()
        self._bridge.close()


def open_tunnel(port: int, plan: Plan) -> NgrokHttp:
    """Open an HTTPS tunnel to `port`. Raises ProviderRefused where ngrok says no, else ColabRemoteError."""
    with started(plan) as tunnel:
        return NgrokHttp(tunnel, port)
