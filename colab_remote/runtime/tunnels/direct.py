"""No tunnel: a machine that can be reached as it is."""

from __future__ import annotations

from dataclasses import dataclass

from colab_remote.runtime.tunnels import Address, Plan


@dataclass(frozen=True, slots=True)
class Direct:
    """The address that sshd listens on."""

    address: Address

    def alive(self) -> bool:
        """Always: there is nothing that could end before sshd."""
        return True

    def close(self) -> None:
        """Nothing to end."""


def open_tunnel(port: int, plan: Plan) -> Direct:
    """The way to sshd's own address."""
    return Direct(Address("ssh", plan.bind_host, port, "direct"))
