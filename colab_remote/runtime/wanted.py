"""What a launch is asked for, checked."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from colab_remote.errors import Refused
from colab_remote.runtime.record import no_runtime
from colab_remote.runtime.tunnels import NGROK, RELAY_SHAPE, TUNNELS, from_here
from colab_remote.ticket import check_name


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `launch` was asked for. `bind` is sshd's address, with a port of 0 for any that is free."""

    tunnel: str
    name: str
    workdir: Path
    state: Path
    keys: tuple[str, ...]
    environment: dict[str, str]
    job_environment: dict[str, str] = field(repr=False)
    token: str = field(repr=False)
    region: str | None = None
    relay: str = ""
    bind: tuple[str, int] = ("127.0.0.1", 0)

    def digest(self) -> str:
        """The same for the same arguments, whatever the environment has become; it tells nothing about them."""
        asked = {**asdict(self), "environment": None}  # what a cell imports may change it
        return hashlib.blake2b(repr(asked).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def want(
    *,
    tunnel: str,
    name: str,
    token: str | None,
    keys: str | Iterable[str] | None,
    workdir: str,
    state: str,
    region: str | None = None,
    relay: str = "",
    env: Iterable[str] = (),
    bind: tuple[str, int] = ("127.0.0.1", 0),
) -> Wanted:
    """What these arguments ask for, keys and token found. Raises Refused."""
    from colab_remote.runtime.environment import job_environment, session_environment
    from colab_remote.runtime.keys import authorized_keys
    from colab_remote.runtime.secrets import ngrok_token

    require_linux()
    if tunnel not in TUNNELS:
        raise Refused(f"there is no tunnel called `{tunnel}`", f"there are {', '.join(TUNNELS)}")
    if (tunnel == "relay") != bool(relay):
        raise Refused("the tunnel `relay` and the machine to go through come together", RELAY_SHAPE)
    if tunnel == "direct" and from_here(bind[0]) != bind[0]:  # the ticket names the address
        raise Refused(
            f"`{bind[0]}` is every address of this machine, and none that a laptop can go to",
            "bind the one of `ip address` that the laptop reaches: --tunnel direct --bind ADDRESS",
        )
    places = [_folder(workdir), _folder(state)]
    return Wanted(
        tunnel=tunnel,
        name=check_name(name),
        workdir=places[0],
        state=places[1],
        keys=authorized_keys(keys),
        environment=session_environment(os.environ, sys.executable),
        job_environment=job_environment(env),
        token=ngrok_token(token) if tunnel in NGROK else "",
        region=region,
        relay=relay,
        bind=bind,
    )


def require_linux(platform: str = sys.platform) -> None:
    """Raise Refused on a machine that can be no runtime."""
    if platform != "linux":
        raise no_runtime()


def _folder(name: str) -> Path:
    try:
        folder = Path(name).expanduser().absolute()
    except RuntimeError:
        raise Refused(f"`{name}` is nobody's folder on this machine", "name another one") from None
    if not str(folder).isprintable():
        raise Refused(f"`{folder}` holds a control character", "choose a folder with a plain name")
    return folder
